/**
 * Does operations of the public API while hardly any descriptor is left, and prints how each ended.
 *
 * Argument: the environment, as JSON. Each operation is tried with no free descriptor, with one, and so on:
 * the kernel's own limit is set, nothing is pretended.
 */
import { readdirSync } from 'node:fs';
import koffi from 'koffi';
import {
  type Environment,
  GhostsnapError,
  openWorkspace,
  type Workspace,
} from '../../src/index.ts';

const FREE_MAX = 8;
const AMPLE = 1024;
const RLIMIT_NOFILE = 7;

export interface Ended {
  readonly what: string;
  readonly free: number;
  /** null: it succeeded. */
  readonly code: string | null;
  readonly hasHint: boolean;
  readonly text: string;
}

const setrlimit = koffi.load('libc.so.6').func('int setrlimit(int, void *)');

function setLimit(soft: number): void {
  const limits = Buffer.alloc(16);
  limits.writeBigUInt64LE(BigInt(soft), 0);
  limits.writeBigUInt64LE(BigInt(AMPLE), 8);
  if (setrlimit(RLIMIT_NOFILE, limits) !== 0) throw new Error('setrlimit failed.');
}

/** Descriptors are taken from the lowest free number: gaps below what is open count. */
function leaveFree(free: number): void {
  const used = new Set(readdirSync('/proc/self/fd').map(Number));
  let limit = 0;
  for (let left = free; left > 0 || used.has(limit); limit += 1) {
    if (!used.has(limit)) left -= 1;
  }
  setLimit(limit);
}

async function tryWith(free: number, what: string, work: () => unknown): Promise<Ended> {
  leaveFree(free);
  try {
    await work();
    return { what, free, code: null, hasHint: true, text: '' };
  } catch (error) {
    const isOurs = error instanceof GhostsnapError;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return {
      what,
      free,
      code: isOurs ? error.code : 'none',
      hasHint: isOurs && !!error.hint,
      text,
    };
  } finally {
    setLimit(AMPLE);
  }
}

async function drain(changes: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of changes);
}

function operationsOf(workspace: Workspace, id: string): Record<string, () => unknown> {
  return {
    snapshot: () => workspace.snapshot(),
    'snapshot-sync': () => workspace.snapshotSync(),
    status: () => workspace.status(),
    diff: () => drain(workspace.diff(id)),
    blame: () => workspace.blame('a'),
    rollback: () => workspace.rollback(id),
    restore: () => workspace.restore(id, ['a']),
    label: () => workspace.label(id, 'kept'),
    pin: () => workspace.pin(id),
    unpin: () => workspace.unpin(id),
    'begin-call': () =>
      workspace.beginCall({
        session: 's',
        harness: 'h',
        tool: 'bash',
        key: 'k',
        onSnapshotFailure: 'warn',
      }),
    prune: () => workspace.prune(),
    recover: () => workspace.recover(),
  };
}

const environment = JSON.parse(process.argv[2] ?? '{}') as Environment;
const ended: Ended[] = [];
for (let free = 0; free <= FREE_MAX; free += 1) {
  const opening = async (): Promise<void> => {
    await using _ = await openWorkspace({ environment });
  };
  ended.push(await tryWith(free, 'open', opening));
  await using workspace = await openWorkspace({ environment });
  const { id } = await workspace.snapshot();
  for (const [what, work] of Object.entries(operationsOf(workspace, id))) {
    ended.push(await tryWith(free, what, work));
  }
}
process.stdout.write(JSON.stringify(ended));
