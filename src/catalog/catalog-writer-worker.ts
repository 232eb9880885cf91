/**
 * The thread that writes for a grouped catalog: one connection, one transaction a group.
 *
 * Groups that have piled up while the last one was written share a transaction. A write that fails is
 * reported and does not stop the others, but everything that follows it in its workspace, until the
 * failure has been told. An error that is not this program's own ends the thread, and with it every
 * commit that waits.
 */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { GhostsnapError } from '../core/errors.ts';
import type { WorkspaceId } from '../core/ids.ts';
import {
  CLOSED,
  encodeFailure,
  type GroupMessage,
  type LandedMessage,
  type ToWriter,
  type WriterSetup,
} from './catalog-writer-protocol.ts';
import { openSqliteCatalog } from './open-catalog.ts';
import type { CatalogWrite } from './sqlite-catalog.ts';

/** Writes of one transaction: a few milliseconds, which the first of them waits for. */
const WRITES_MAX = 512;

const { file, port, landed } = workerData as WriterSetup;
const counter = new Int32Array(landed);
const catalog = openSqliteCatalog({ file });
/** Workspaces with a failure that their owner does not know yet. */
const failed = new Map<WorkspaceId, GhostsnapError>();

port.on('message', (message: ToWriter) => {
  let next: ToWriter | null = message;
  while (next !== null) next = next === 'close' ? close() : write(next);
});

/** @returns the message that it found and did not take along */
function write(first: GroupMessage): ToWriter | null {
  const groups = [first];
  let count = first.writes.length;
  let rest: ToWriter | null = null;
  for (const workspace of first.told) failed.delete(workspace);
  while (count < WRITES_MAX && rest === null) {
    const more = receiveMessageOnPort(port)?.message as ToWriter | undefined;
    if (more === undefined) break;
    if (more === 'close' || more.told.length > 0) {
      rest = more;
    } else {
      groups.push(more);
      count += more.writes.length;
    }
  }
  const isDurable = groups.some((group) => group.durability === 'power-loss');
  const durability = isDurable ? 'power-loss' : 'process-crash';
  const results = writeAll(
    groups.flatMap((group) => group.writes.map(parseWrite)),
    durability,
  );
  let at = 0;
  for (const { group, writes: own } of groups) {
    tellLanded(group, results.slice(at, at + own.length));
    at += own.length;
  }
  return rest;
}

function writeAll(
  writes: readonly CatalogWrite[],
  durability: GroupMessage['durability'],
): readonly (GhostsnapError | null)[] {
  const isRefused = writes.some(({ workspace }) => failed.has(workspace));
  if (!isRefused && catalog.tryWriteTogether(writes, durability)) return writes.map(() => null);
  return writes.map((write) => {
    const before = failed.get(write.workspace);
    if (before !== undefined) return before;
    try {
      catalog.writeAlone(write, durability);
      return null;
    } catch (error) {
      if (!(error instanceof GhostsnapError)) throw error;
      failed.set(write.workspace, error);
      return error;
    }
  });
}

function parseWrite(text: string): CatalogWrite {
  return JSON.parse(text) as CatalogWrite;
}

/** The message first: whoever wakes up by the number finds it. */
function tellLanded(group: number, results: readonly (GhostsnapError | null)[]): void {
  const failures = results.flatMap((error, index) =>
    error === null ? [] : [encodeFailure(index, error)],
  );
  port.postMessage({ group, failures } satisfies LandedMessage);
  wake(group);
}

function close(): null {
  catalog[Symbol.dispose]();
  port.close();
  wake(CLOSED);
  return null;
}

function wake(number: number): void {
  Atomics.store(counter, 0, number);
  Atomics.notify(counter, 0);
}
