/**
 * `ghostsnap serve` killed again and again under load: clients of `ghostsnap/client` ride through over mTLS,
 * and every call that was acknowledged is there, once, with the state before it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Client } from '../../src/api/client/client.ts';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import { resolveHome } from '../../src/daemon/home.ts';
import { persist } from './persist.ts';
import { POOL, ServingProcess } from './serving-process.ts';

const WORKSPACES = 8;
/** 20 by hand: KILLS=20. */
const KILLS = Number(process.env.KILLS ?? 3);
/** Acknowledged calls between two kills: never at the same point of a call. */
const CALLS_A_LIFE = 29;
const LIFE_MS_MAX = 60_000;

let serving: ServingProcess;
beforeEach(async () => {
  serving = await ServingProcess.make();
});
afterEach(async () => serving?.[Symbol.asyncDispose]());

interface Worker {
  readonly workspace: string;
  readonly path: string;
  /** By the number of the call: its id, and the snapshot before it. */
  readonly acknowledged: { readonly call: string; readonly snapshot: string | null }[];
}

interface Load {
  readonly agent: Client;
  /** Calls acknowledged by all. */
  calls: number;
  isOver: boolean;
  readonly onCall: () => void;
}

/** One call after the other; each is asked until it is answered, under the same key. */
async function work(worker: Worker, load: Load): Promise<void> {
  const { workspace, path, acknowledged } = worker;
  const about = { workspace, session: 's', harness: 'test' };
  while (!load.isOver) {
    const n = acknowledged.length;
    const input = { ...about, tool: 'Bash', key: `k${n}` };
    const begun = await persist((options) => load.agent.beginCall(input, options));
    writeFileSync(join(path, 'content'), `c${n}`);
    await persist((options) =>
      load.agent.endCall({ workspace, call: begun.call, outcome: 'ok' }, options),
    );
    acknowledged.push({ call: begun.call, snapshot: begun.snapshot });
    load.calls += 1;
    load.onCall();
  }
}

async function killAgainAndAgain(workers: readonly Worker[]): Promise<void> {
  let next = CALLS_A_LIFE;
  let reached = Promise.withResolvers<void>();
  const load: Load = {
    ...{ agent: serving.client('red-agent'), calls: 0, isOver: false },
    onCall: () => {
      if (load.calls >= next) reached.resolve();
    },
  };
  const working = Promise.all(workers.map((worker) => work(worker, load)));
  for (let kill = 0; kill < KILLS; kill += 1) {
    await Promise.race([reached.promise, working]);
    await serving.stop('SIGKILL');
    reached = Promise.withResolvers();
    next = load.calls + CALLS_A_LIFE + kill;
    await serving.start();
  }
  await Promise.race([reached.promise, working]);
  load.isOver = true;
  await working;
}

const LONGEST_MS = LIFE_MS_MAX * (KILLS + 1);

test('clients ride through, and nothing is lost or doubled', { timeout: LONGEST_MS }, async () => {
  const operator = serving.client('red-operator');
  const made = await Promise.all(
    Array.from({ length: WORKSPACES }, () =>
      operator.createWorkspace({ template: serving.template }),
    ),
  );
  const workers = made.map(({ workspace, path }): Worker => {
    writeFileSync(join(path, 'content'), 'none');
    return { workspace, path, acknowledged: [] };
  });
  await killAgainAndAgain(workers);
  for (const { workspace, acknowledged } of workers) {
    const { calls } = await operator.listCalls({ workspace, limit: 1000 });
    expect(new Set(calls.map(({ key }) => key)).size).toBe(calls.length);
    expect(calls).toHaveLength(acknowledged.length);
    for (const [n, { call, snapshot }] of acknowledged.entries()) {
      const row = calls.find((one) => one.call === call);
      expect(row).toMatchObject({ key: `k${n}`, outcome: 'ok', snapshot });
      const root = join(serving.poolRoot, '.ghostsnap', workspace, snapshot ?? '');
      expect(readFileSync(join(root, 'content'), 'utf8')).toBe(n === 0 ? 'none' : `c${n - 1}`);
    }
  }
  expect(serving.defects).toEqual([]);
  await serving.stop();
  const home = resolveHome(serving.environment);
  expect(verifyCatalog({ file: join(home.data, 'pools', POOL, 'catalog.db') })).toEqual([]);
});
