/**
 * A pool that fills up under load: what cannot be kept is refused as POOL_FULL and nothing else, what was
 * acknowledged is there, nothing is half done, and the service goes on when there is room again.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GhostsnapError } from '../../src/core/errors.ts';
import { ServingProcess } from './serving-process.ts';

const POOL_BYTES = 256 * 2 ** 20;
const WORKSPACES = 8;
const BALLAST_BYTES = 190 * 2 ** 20;
const FILES_A_TURN = 100;
/** Small enough to lie in the metadata, and nothing that can be made smaller. */
const NOISE = randomBytes(900).toString('hex');

let serving: ServingProcess;
beforeEach(async () => {
  serving = await ServingProcess.make({ poolBytes: POOL_BYTES, config: { arming: 'off' } });
});
afterEach(async () => serving?.[Symbol.asyncDispose]());

interface Worker {
  readonly workspace: string;
  readonly path: string;
  readonly calls: { readonly call: string; readonly snapshot: string | null; readonly n: number }[];
  /** null: it was never refused. */
  refusal: GhostsnapError | null;
}

/** Calls one after the other, each of which writes anew, until one is refused. */
async function work(worker: Worker): Promise<void> {
  const agent = serving.client('red-agent');
  const { workspace, path, calls } = worker;
  const about = { workspace, session: 's', harness: 'test', tool: 'Bash' };
  for (let n = 0; worker.refusal === null; n += 1) {
    try {
      const { call, snapshot } = await agent.beginCall({ ...about, key: `k${n}` });
      calls.push({ call, snapshot, n });
      write(join(path, 'f0'), `${n + 1} `);
      await agent.endCall({ workspace, call, outcome: 'ok' });
    } catch (error) {
      if (!(error instanceof GhostsnapError)) throw error;
      worker.refusal = error;
    }
  }
}

/** The disk may be full for the tool as well. */
function write(file: string, text: string): boolean {
  try {
    writeFileSync(file, text);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    return false;
  }
}

/** Small files lie in the metadata, which snapshots need: as many as it takes, while others work. */
async function fillMetadata(isRefused: () => boolean): Promise<void> {
  const folder = join(serving.poolRoot, 'filler');
  mkdirSync(folder);
  for (let n = 0; !isRefused(); n += 1) {
    const isWritten = write(join(folder, String(n)), NOISE);
    if (!isWritten || n % FILES_A_TURN === 0) await turnOfLoop();
  }
}

/** Takes most of what metadata would grow into: what is left is filled in a moment. */
function makeBallast(): void {
  const chunk = Buffer.alloc(BALLAST_BYTES, 7);
  writeFileSync(join(serving.poolRoot, 'ballast'), chunk, { flush: true });
}

test('POOL_FULL is all that is refused, and room makes it good', async () => {
  const operator = serving.client('red-operator');
  const made = await Promise.all(
    Array.from({ length: WORKSPACES }, () =>
      operator.createWorkspace({ template: serving.template }),
    ),
  );
  const workers = made.map(({ workspace, path }): Worker => {
    writeFileSync(join(path, 'f0'), '0 ');
    return { workspace, path, calls: [], refusal: null };
  });
  makeBallast();
  const isRefused = (): boolean => workers.every(({ refusal }) => refusal !== null);
  await Promise.all([fillMetadata(isRefused), ...workers.map(work)]);
  const codes = new Set(workers.map(({ refusal }) => refusal?.code));
  expect([...codes]).toEqual(['POOL_FULL']);
  await expectKept(workers);
  // A way back would need a snapshot of what is left, and nothing is half done for want of room.
  const [first, second, third, fourth] = workers as [Worker, Worker, Worker, Worker];
  const { workspace } = first;
  const target = String(first.calls[0]?.snapshot);
  const before = readFileSync(join(first.path, 'f0'));
  await expect(operator.rollback({ workspace, target })).rejects.toMatchObject({
    code: 'POOL_FULL',
  });
  expect(readFileSync(join(first.path, 'f0')).equals(before)).toBe(true);
  // Whole workspaces end without room.
  await operator.deleteWorkspace({ workspace: fourth.workspace, keep: 'nothing' });
  expect(existsSync(fourth.path)).toBe(false);
  rmSync(join(serving.poolRoot, 'filler'), { recursive: true });
  // Space comes back with the commit, not with the removal.
  execFileSync('sync', ['-f', serving.poolRoot]);
  await operator.rollback({ workspace, target });
  expect(readFileSync(join(first.path, 'f0'), 'utf8').split(' ')[0]).toBe('0');
  const left = [first, second, third];
  await Promise.all(
    left.map(async ({ workspace: id }) => {
      const about = { workspace: id, session: 's', harness: 'test', tool: 'Bash' };
      const { call } = await operator.beginCall({ ...about, key: 'after' });
      await operator.endCall({ workspace: id, call, outcome: 'ok' });
    }),
  );
  await expectKept(left);
  expect(serving.ended).toBeNull();
});

/** Each acknowledged call once, with the bytes before it. */
async function expectKept(workers: readonly Worker[]): Promise<void> {
  const reader = serving.client('red-reader');
  for (const { workspace, calls } of workers) {
    const listed = await reader.listCalls({ workspace, limit: 1000 });
    expect(new Set(listed.calls.map(({ key }) => key)).size).toBe(listed.calls.length);
    for (const { call, snapshot, n } of calls) {
      expect(listed.calls.find((one) => one.call === call)).toMatchObject({ snapshot });
      const root = join(serving.poolRoot, '.ghostsnap', workspace, snapshot ?? '');
      expect(existsSync(root)).toBe(true);
      if (n === 0) expect(readFileSync(join(root, 'f0'), 'utf8').split(' ')[0]).toBe('0');
    }
  }
}
