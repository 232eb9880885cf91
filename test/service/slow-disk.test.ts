/**
 * A pool whose disk hangs, then moves one write at a time: what is asked of it is bounded and refused in time,
 * what was acknowledged is there once with its state, workspaces of another pool are served meanwhile, and when
 * the disk is quick again everything goes on. How slow it is the test says, not a clock.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Client } from '../../src/api/client/client.ts';
import { problem } from '../../src/api/schema/problem.ts';
import { POOL, ServingProcess, type UnixAnswer } from './serving-process.ts';
import { SlowDisk } from './slow-disk.ts';

/** Of tool calls over both pools; half of it is each one's. */
const CALLS = { concurrent: 4, waitingMax: 12, waitingOfTenantMax: 8 };
const [AT_WORK, WAITING, WAITING_OF_TENANT] = [2, 6, 4];
/** Long enough for whoever has to wait for a disk that hangs. */
const PATIENT = { timeoutMs: 100_000 };

let slow: SlowDisk;
let serving: ServingProcess;
/** On the slow disk, of the tenant of the machine. */
let template = '';

beforeEach(async () => {
  slow = await SlowDisk.make();
  const pools = [POOL];
  serving = await ServingProcess.make({
    prepare: async (environment) => {
      const made = await slow.makeTemplate(environment);
      template = made.workspace;
      pools.push(made.pool);
    },
    // What lies ready is adopted without the disk: then nobody could say who waits for it.
    config: () => ({ pools, arming: 'off', lanes: { call: CALLS } }),
  });
});
afterEach(async () => {
  slow?.disk.letGo();
  await serving?.[Symbol.asyncDispose]();
  await slow?.[Symbol.asyncDispose]();
});

interface Place {
  readonly workspace: string;
  readonly path: string;
}

const ABOUT = { session: 's', harness: 'test', tool: 'Bash' };

async function callOn(agent: Client, { workspace, path }: Place, key: string): Promise<void> {
  const { call } = await agent.beginCall({ ...ABOUT, workspace, key });
  writeFileSync(join(path, 'content'), key);
  await agent.endCall({ workspace, call, outcome: 'ok' });
}

/** A begin of the tenant of the machine, on the template. */
async function localBegin(key: string, headers: Readonly<Record<string, string>> = {}) {
  const body = JSON.stringify({ ...ABOUT, key });
  const sent = { 'content-type': 'application/json', 'idempotency-key': randomUUID(), ...headers };
  return await serving.ask('POST', `/v1/workspaces/${template}/calls`, sent, body);
}

function expectRefused(answer: UnixAnswer, status: number, code: string): void {
  expect(problem.parse(JSON.parse(answer.text))).toMatchObject({ status, code });
  expect(answer.status).toBe(status);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
}

/** Everything that a tenant does, on the pool whose disk is well. */
async function expectServed(tenant: Client): Promise<Place> {
  const place = await tenant.createWorkspace({ template: serving.template });
  const { workspace, path } = place;
  await callOn(tenant, place, 'k0');
  const { id } = (await tenant.takeSnapshot({ workspace })).snapshot;
  writeFileSync(join(path, 'content'), 'destroyed');
  expect((await tenant.diff({ workspace, from: id })).changes).toHaveLength(1);
  await tenant.rollback({ workspace, target: id });
  expect(readFileSync(join(path, 'content'), 'utf8')).toBe('k0');
  await tenant.deleteWorkspace({ workspace, keep: 'nothing' });
  expect((await tenant.getUsage({})).pools).toHaveLength(2);
  return await tenant.createWorkspace({ template: serving.template });
}

interface Kept {
  readonly key: string;
  readonly snapshot: string | null;
}

/** The calls of a workspace on the slow disk by their keys, each once, with the bytes before it. */
function statesOf(workspace: string, calls: readonly Kept[]): Readonly<Record<string, string>> {
  expect(new Set(calls.map(({ key }) => key)).size).toBe(calls.length);
  const snapshots = join(slow.root, slow.pool, '.ghostsnap', workspace);
  const states = calls.map(({ key, snapshot }) => {
    return [key, readFileSync(join(snapshots, String(snapshot), 'content'), 'utf8')] as const;
  });
  return Object.fromEntries(states);
}

async function localCallsKept(): Promise<readonly Kept[]> {
  const { text } = await serving.ask('GET', `/v1/workspaces/${template}/calls`);
  return (JSON.parse(text) as { readonly calls: readonly Kept[] }).calls;
}

/** Has the slow disk make one step for each call of the other tenant, until `ended`. */
async function stepByStep(other: Client, place: Place, ended: Promise<unknown>): Promise<number> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  ended.then(over, over);
  let steps = 0;
  for (; !isOver; steps += 1) {
    slow.disk.letOneThrough();
    await callOn(other, place, `step-${steps}`);
  }
  return steps;
}

test('holds up its own workspaces within their bounds, and nobody else', async () => {
  const red = serving.client('red-operator');
  const blue = serving.client('blue-operator');
  const places: Place[] = [];
  for (let n = 0; n < AT_WORK + 2; n += 1) {
    const place = await red.createWorkspace({ template });
    places.push(place);
    await callOn(red, place, 'before');
  }
  const stalled = slow.disk.hold();
  const begin = ({ workspace }: Place) =>
    red.beginCall(
      { ...ABOUT, workspace, key: 'slow' },
      { ...PATIENT, idempotencyKey: `slow-${workspace}` },
    );
  const redCalls = places.slice(0, AT_WORK).map(begin);
  await stalled;
  // Round trips behind what was asked: it has its place by then.
  await red.listWorkspaces({});

  const late = await localBegin('late', { 'ghostsnap-timeout-ms': '500' });
  // By its deadline; or at once, where such a wait is longer than that.
  expect(late.status).toBe(503);
  expect(late.text).toMatch(/DEADLINE_EXCEEDED|OVERLOADED/);
  const localKeys = Array.from({ length: WAITING_OF_TENANT }, (_, n) => `slow-${n}`);
  const localCalls = localKeys.map((key) => localBegin(key));
  await serving.ask('GET', '/v1/usage');
  expectRefused(await localBegin('beyond'), 429, 'TOO_MANY_REQUESTS');
  redCalls.push(...places.slice(AT_WORK).map(begin));
  await red.listWorkspaces({});
  expect(AT_WORK + WAITING).toBe(localCalls.length + redCalls.length);
  expectRefused(await localBegin('beyond'), 503, 'OVERLOADED');

  const good = await expectServed(blue);
  // More than a write and its flush: the disk was slow, and the other tenant's calls went on at each step.
  expect(await stepByStep(blue, good, Promise.race(redCalls))).toBeGreaterThan(2);
  slow.disk.letGo();

  const begun = await Promise.all(redCalls);
  const answers = await Promise.all(localCalls);
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
  for (const [n, place] of places.entries()) {
    // Asked again, it is the call that was acknowledged.
    expect(await begin(place)).toEqual(begun[n]);
    const { workspace } = place;
    const { calls } = await red.listCalls({ workspace });
    expect(statesOf(workspace, calls)).toEqual({ before: 'none', slow: 'before' });
  }
  const localStates = statesOf(template, await localCallsKept());
  expect(localStates).toEqual(Object.fromEntries(localKeys.map((key) => [key, 'none'])));
  for (const place of places) {
    await callOn(red, place, 'after');
    const { workspace, path } = place;
    await red.rollback({ workspace, target: '@~1' });
    expect(readFileSync(join(path, 'content'), 'utf8')).toBe('before');
  }
  await expectServed(blue);
  expect(serving.defects).toEqual([]);
  expect(serving.ended).toBeNull();
});

test('killed while the disk hangs, the service lets no other at its pools before it is gone', async () => {
  const red = serving.client('red-operator');
  const place = await red.createWorkspace({ template });
  const { workspace } = place;
  await callOn(red, place, 'before');
  const stalled = slow.disk.hold();
  const again = { ...PATIENT, idempotencyKey: 'the-same' };
  const begin = () => red.beginCall({ ...ABOUT, workspace, key: 'slow' }, again);
  // Asked on by the client itself once nobody answers, and by us when it has given that up.
  const first = begin().catch(() => null);
  await stalled;
  const killed = serving.stop('SIGKILL');
  // A thread of it is inside the kernel: what it holds it holds until the disk lets it go.
  await expect(serving.start()).rejects.toThrow(/ended with 75/);
  slow.disk.letGo();
  await killed;
  await serving.start();
  const begun = (await first) ?? (await begin());
  expect(await begin()).toEqual(begun);
  const { calls } = await red.listCalls({ workspace });
  expect(statesOf(workspace, calls)).toEqual({ before: 'none', slow: 'before' });
  await callOn(red, place, 'after');
});
