/**
 * Makings and deletions whose records fail: whoever repeats the request, or deletes what is left, has one
 * workspace or none, and what is answered is what failed first. The pool, its engines and the ledger are real;
 * writes of the ledger fail by number, as on a disk that is full for a while.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { localPrincipal } from '../../src/api/principal.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { WorkspaceId } from '../../src/core/ids.ts';
import { readBootId } from '../../src/daemon/boot-id-linux.ts';
import { resolveHome } from '../../src/daemon/home.ts';
import { ServedWorkspaces } from '../../src/daemon/served-workspaces.ts';
import type { CallContext } from '../../src/service/call-context.ts';
import { DEFAULT_LANES } from '../../src/service/lanes.ts';
import type { Ledger } from '../../src/service/ledger.ts';
import { EngineServiceHost } from '../../src/service/service-host.ts';
import type { ServiceStep } from '../../src/service/service-step.ts';
import { openAnswers } from '../../src/service/sqlite-answers.ts';
import { openLedger } from '../../src/service/sqlite-ledger.ts';
import { ServiceWorld } from './service-world.ts';

const ME = localPrincipal(process.getuid?.() ?? 0);
const LIMITS = { openMax: 100, openIdleMs: 60_000, answersKeptMs: 60_000, answersMax: 1000 };

let world: ServiceWorld;
let host: EngineServiceHost;
let source: ServedWorkspaces;
let keys = 0;
let onStep: (step: ServiceStep) => void = () => undefined;
const told: unknown[] = [];
/** Of the writes that come, counted from 1. */
let failing = { from: 0, to: 0 };
let writes = 0;

function fail(from: number, to: number): void {
  writes = 0;
  failing = { from, to };
}

function written(write: () => void): void {
  writes += 1;
  if (writes < failing.from || writes > failing.to) {
    write();
    return;
  }
  throw new GhostsnapError('POOL_FULL', `No room for write ${writes}.`);
}

function failingLedger(ledger: Ledger): Ledger {
  const { workspace, list, findByName, count, findByRequest, unfinished } = ledger;
  const reads = { workspace, list, findByName, count, findByRequest, unfinished };
  const bound = Object.entries(reads).map(([name, read]) => [name, read.bind(ledger)]);
  return {
    ...(Object.fromEntries(bound) as typeof reads),
    insert: (row) => written(() => ledger.insert(row)),
    insertAll: (rows) => written(() => ledger.insertAll(rows)),
    setStatus: (id, status) => written(() => ledger.setStatus(id, status)),
    remove: (id) => written(() => ledger.remove(id)),
    [Symbol.dispose]: () => ledger[Symbol.dispose](),
  };
}

beforeAll(async () => {
  world = await ServiceWorld.make();
  await world.stop();
  const home = resolveHome(world.environment);
  const { environment, poolRoot } = world;
  source = await ServedWorkspaces.open({
    ...{ home, environment, pools: ['served'], adoptBelow: () => [poolRoot] },
    policy: () => undefined,
    onStep: (step) => onStep(step),
  });
  const file = join(home.data, 'service', 'answers.db');
  host = new EngineServiceHost({
    ledger: failingLedger(openLedger(join(home.data, 'service', 'ledger.db'))),
    answers: openAnswers({ file, bootId: readBootId() }).answers,
    ...{ source, monotonicMs: () => performance.now(), lanes: DEFAULT_LANES, poolCount: 1 },
    limits: () => ({ ...LIMITS, arming: 'off' }),
    ...{ templateTenants: () => [], tenantLimits: () => undefined, judging: () => 'off' },
    policyTurn: (_asked, turn) => turn(),
    onError: (error) => void told.push(error),
    onStep: (step) => onStep(step),
  });
});

afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

afterEach(async () => {
  onStep = () => undefined;
  fail(0, 0);
  for (const { workspace } of await rows()) await end(workspace);
  expect(left()).toBe(0);
  told.length = 0;
});

function context(key?: string, signal = new AbortController().signal): CallContext {
  keys += 1;
  const idempotencyKey = key ?? `key-${keys}`;
  return { trace: undefined, deadline: undefined, signal, idempotencyKey };
}

const make = (key?: string, name?: string) =>
  host.createWorkspace(
    ME,
    { template: world.template as WorkspaceId, snapshot: '@', ...(name ? { name } : {}) },
    context(key),
  );

const end = (workspace: WorkspaceId, by = context()) =>
  host.deleteWorkspace(ME, { workspace, keep: 'nothing' }, by);

async function rows() {
  const { workspaces } = await host.listWorkspaces(ME, {}, context());
  return workspaces.filter(({ workspace }) => workspace !== world.template);
}

/** Trees of workspaces that were made. */
function left(): number {
  const work = join(world.poolRoot, 'work');
  return existsSync(work) ? readdirSync(work).length : 0;
}

describe('making a workspace whose records fail', () => {
  it.each([
    [1, 1],
    [2, 2],
    [2, 3],
  ])('from write %i to %i, and asked again under its key, gives one', async (from, to) => {
    const key = `from-${from}-to-${to}`;
    fail(from, to);
    await expect(make(key)).rejects.toThrow(`No room for write ${from}.`);
    const made = await make(key);
    expect(await rows()).toEqual([made]);
    expect(left()).toBe(1);
  });

  it('and is not asked again: it is deleted as any other', async () => {
    fail(2, 3);
    await expect(make(undefined, 'mine')).rejects.toThrow('No room for write 2.');
    const [half] = await rows();
    expect(half).toMatchObject({ name: 'mine', status: 'creating' });
    expect(left()).toBe(1);
    await end(half?.workspace as WorkspaceId);
    expect(await rows()).toEqual([]);
    expect(left()).toBe(0);
    expect(await make(undefined, 'mine')).toMatchObject({ name: 'mine', status: 'active' });
  });

  it('is answered with what failed first, and the log has what failed behind it', async () => {
    fail(2, 3);
    await expect(make()).rejects.toThrow('No room for write 2.');
    expect(told).toEqual([expect.objectContaining({ message: 'No room for write 3.' })]);
  });
});

describe('deleting a workspace whose records fail', () => {
  it.each([
    [1, 1],
    [2, 2],
    [2, 3],
  ])('from write %i to %i: asked again it is gone', async (from, to) => {
    const { workspace } = await make();
    fail(from, to);
    await expect(end(workspace)).rejects.toThrow(`No room for write ${from}.`);
    // What was done already is not done again: it is not there any more.
    await end(workspace).catch((error: unknown) => {
      expect(error).toMatchObject({ kind: 'not-found' });
    });
    expect(await rows()).toEqual([]);
    expect(left()).toBe(0);
  });

  it('is answered with why it was not done, also when that cannot be recorded', async () => {
    const { workspace, path } = await make();
    const nested = join(path, 'nested');
    execFileSync('btrfs', ['subvolume', 'create', nested]);
    fail(2, 2);
    await expect(end(workspace)).rejects.toMatchObject({ code: 'WORKSPACE_NESTED' });
    expect(told).toEqual([expect.objectContaining({ message: 'No room for write 2.' })]);
    execFileSync('btrfs', ['subvolume', 'delete', nested]);
    expect(await rows()).toMatchObject([{ workspace, status: 'deleting' }]);
    await end(workspace);
    expect(await rows()).toEqual([]);
  });
});

describe('a workspace that is being made', () => {
  it('is not deleted under who makes it', async () => {
    let refused: Promise<unknown> = Promise.resolve(null);
    onStep = (step) => {
      if (step !== 'create.inserted') return;
      refused = rows().then(([row]) => end(row?.workspace as WorkspaceId).catch((error) => error));
    };
    const { workspace } = await make();
    expect(await refused).toMatchObject({ code: 'WORKSPACE_BUSY' });
    expect(await host.getWorkspace(ME, { workspace }, context())).toMatchObject({
      status: 'active',
    });
  });
});

describe('adopting a directory under a name that is taken', () => {
  it('is refused before the directory becomes a workspace of nobody', async () => {
    await make(undefined, 'taken');
    const path = join(world.poolRoot, 'adopted');
    mkdirSync(path);
    await expect(host.adoptWorkspace(ME, { path, name: 'taken' }, context())).rejects.toMatchObject(
      { code: 'WORKSPACE_EXISTS' },
    );
    expect(source.registered().map((one) => one.path)).not.toContain(path);
  });
});
