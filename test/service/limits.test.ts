/** The service's limits over HTTP: full lanes, callers that go away, deadlines, and other limits on SIGHUP. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { problem } from '../../src/api/schema/problem.ts';
import { type Answer, ServiceWorld } from './service-world.ts';

const ONE = { concurrent: 1, waitingMax: 8, waitingOfTenantMax: 1 };

let world: ServiceWorld;
/** One that is kept busy, and another. */
let busy = '';
let free = '';

beforeAll(async () => {
  world = await ServiceWorld.make({ lanes: { call: ONE } });
});

beforeEach(async () => {
  busy = (await world.workspace()).id;
  free = (await world.workspace()).id;
  limit(ONE);
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

function limit(call: Readonly<Record<string, number>>): void {
  world.configure({ lanes: { call } });
  world.reload();
}

async function calls(id: string): Promise<readonly { readonly outcome: string | null }[]> {
  const { body } = await world.ask('GET', `/v1/workspaces/${id}/calls`);
  return body.calls as unknown as { outcome: string | null }[];
}

function expectRefused(answer: Answer, status: number, code: string): void {
  expect(answer.status).toBe(status);
  expect(problem.parse(answer.body)).toMatchObject({ code, status });
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
}

/** Asked at once, of a workspace that is busy: who is refused is the first to be answered. */
async function refusedOf(count: number): Promise<{ refused: Answer; rest: Promise<Answer[]> }> {
  const keys = Array.from({ length: count }, (_, index) => `k${index}`);
  const asked = keys.map((key) => world.begin(busy, key));
  return { refused: await Promise.race(asked), rest: Promise.all(asked) };
}

const statuses = (answers: readonly Answer[]): number[] =>
  answers.map(({ status }) => status).sort((a, b) => a - b);

describe('a lane that is full', () => {
  it("refuses what is beyond the tenant's share with 429, and begins nothing of it", async () => {
    const held = await world.hold(busy);
    const { refused, rest } = await refusedOf(3);
    expectRefused(refused, 429, 'TOO_MANY_REQUESTS');
    await held.letGo();
    expect(statuses(await rest)).toEqual([201, 201, 429]);
    expect(await calls(busy)).toHaveLength(2);
  });

  it('refuses what is beyond all of it with 503', async () => {
    limit({ ...ONE, waitingMax: 0 });
    const held = await world.hold(busy);
    const { refused, rest } = await refusedOf(2);
    expectRefused(refused, 503, 'OVERLOADED');
    await held.letGo();
    expect(statuses(await rest)).toEqual([201, 503]);
    expect(await calls(busy)).toHaveLength(1);
  });

  it('lets the same key in later: a refusal is no answer', async () => {
    limit({ ...ONE, waitingMax: 0 });
    const held = await world.hold(busy);
    const key = world.newKey();
    const body = { session: 's', harness: 'test', tool: 'Bash', key: 'again' };
    const path = `/v1/workspaces/${busy}/calls`;
    const first = world.begin(busy, 'first');
    const both = [first, world.ask('POST', path, { body, key })];
    await Promise.race(both);
    await held.letGo();
    await Promise.all(both);
    expect((await world.ask('POST', path, { body, key })).status).toBe(201);
    await first;
  });
});

describe('a caller that is gone', () => {
  it('is not worked for any more: its place is free, and its call was not begun', async () => {
    const held = await world.hold(busy);
    const gone = new AbortController();
    const body = { session: 's', harness: 'test', tool: 'Bash', key: 'gone' };
    const path = `/v1/workspaces/${busy}/calls`;
    const asked = world.ask('POST', path, { body, signal: gone.signal });
    // Round trips behind it: it has the one place by now, and the other waits for it.
    await world.ask('GET', '/v1/usage');
    const waits = world.begin(free, 'k');
    await world.ask('GET', '/v1/usage');
    gone.abort();
    await expect(asked).rejects.toThrow();
    // The one place of the lane was the other's, whose workspace is busy still.
    expect((await waits).status).toBe(201);
    await held.letGo();
    expect(await calls(busy)).toEqual([]);
  });

  it('by its own deadline is told so, and its call was not begun', async () => {
    const held = await world.hold(busy);
    const body = { session: 's', harness: 'test', tool: 'Bash', key: 'late' };
    const late = await world.ask('POST', `/v1/workspaces/${busy}/calls`, {
      ...{ body, headers: { 'ghostsnap-timeout-ms': '60' } },
    });
    expect(late).toMatchObject({ status: 503, body: { code: 'DEADLINE_EXCEEDED' } });
    expect((await world.begin(free, 'k')).status).toBe(201);
    await held.letGo();
    expect(await calls(busy)).toEqual([]);
  });
});

describe('limits that are read again', () => {
  it('let in who waits as soon as they are wider, and keep who is in when they are narrower', async () => {
    const held = await world.hold(busy);
    const first = world.begin(busy, 'first');
    // Round trips behind it: it has the one place by now.
    await world.ask('GET', '/v1/usage');
    const waits = world.begin(free, 'k');
    await world.ask('GET', '/v1/usage');
    limit({ ...ONE, concurrent: 2 });
    expect((await waits).status).toBe(201);
    limit({ ...ONE, waitingMax: 0 });
    const { refused, rest } = await refusedOf(1);
    expectRefused(refused, 503, 'OVERLOADED');
    await held.letGo();
    expect((await first).status).toBe(201);
    await rest;
  });

  it('are named with what changed, and what needs a new start with what it is', async () => {
    world.log.length = 0;
    const socket = `${world.base}/other.sock`;
    world.configure({ lanes: { call: { ...ONE, concurrent: 3 } }, arming: 'off', socket });
    world.reload();
    expect(world.log).toMatchObject([
      { message: 'the configuration was read again', changed: ['/arming', '/lanes/call'] },
      { message: 'what changed here counts from the next start', needRestart: ['/socket'] },
    ]);
    expect((await world.ask('GET', '/v1/usage')).status).toBe(200);
  });

  it('stay as they are when the file is wrong, with every error of it told', async () => {
    limit({ ...ONE, waitingMax: 0 });
    world.log.length = 0;
    world.configure({
      ...{ lanes: { call: { ...ONE, concurrent: 0 }, reed: ONE } },
      policy: { rules: [{ rule: 'deleted-files', max: -1, action: 'rollback' }] },
    });
    world.reload();
    const [entry] = world.log as { level: string; error: { data: { problems: string[] } } }[];
    expect(entry?.level).toBe('error');
    const problems = entry?.error.data.problems.join('\n');
    for (const at of ['/lanes/call/concurrent', '/lanes', '/policy/rules/0/max']) {
      expect(problems).toContain(`${at}:`);
    }
    const held = await world.hold(busy);
    const { refused, rest } = await refusedOf(2);
    expectRefused(refused, 503, 'OVERLOADED');
    await held.letGo();
    await rest;
  });
});
