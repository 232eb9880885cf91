/** What a tenant may have: workspaces and snapshots, refused beyond it, and retention that makes room. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { problem } from '../../src/api/schema/problem.ts';
import { type Answer, ServiceWorld } from './service-world.ts';

/** As few as may be: what is not pinned goes as soon as somebody looks. */
const RETENTION = {
  ...{ keepLast: 1, keepWithinMs: 0, hourlyForMs: 0, dailyForMs: 0, weeklyForMs: 0 },
};
/** Requests within which the background has made room. */
const LOOKS_MAX = 2000;

let world: ServiceWorld;
let id = '';

beforeAll(async () => {
  world = await ServiceWorld.make({ arming: 'off' });
  await world.stop();
  const { GHOSTSNAP_HOME: home = '' } = world.environment.env;
  writeFileSync(join(home, 'config.json'), JSON.stringify({ retention: RETENTION }));
  await world.start();
});

beforeEach(async () => {
  limit({});
  ({ id } = await world.workspace());
});

afterAll(async () => world?.[Symbol.asyncDispose]());

function limit(tenants: Readonly<Record<string, unknown>>): void {
  world.configure({ arming: 'off', tenants });
  world.reload();
}

/** Of all the tenant's workspaces. */
async function kept(): Promise<{ readonly workspaces: number; readonly snapshots: number }> {
  const { body } = await world.ask('GET', '/v1/workspaces');
  const rows = body.workspaces as unknown as { workspace: string }[];
  let snapshots = 0;
  for (const { workspace } of rows) {
    const usage = await world.ask('GET', `/v1/workspaces/${workspace}/usage`);
    snapshots += Number(usage.body.snapshots);
  }
  return { workspaces: rows.length, snapshots };
}

function expectRefused(answer: Answer, quota: string): void {
  expect(answer.status).toBe(507);
  expect(problem.parse(answer.body)).toMatchObject({ code: 'QUOTA_EXCEEDED', data: { quota } });
  expect(answer.headers['retry-after']).toBeUndefined();
}

/** A snapshot that retention keeps; null: refused at the limit. */
async function pinned(): Promise<string | null> {
  const taken = await world.ask('POST', `/v1/workspaces/${id}/snapshots`, { body: {} });
  if (taken.status !== 201) {
    expectRefused(taken, 'snapshots');
    return null;
  }
  const { id: snapshot } = taken.body.snapshot as unknown as { id: string };
  const answer = await world.ask('PUT', `/v1/workspaces/${id}/snapshots/${snapshot}/pin`);
  expect(answer.status).toBe(200);
  return snapshot;
}

/** Again while retention is at work there: unpinning waits for nobody. */
async function unpin(snapshot: string): Promise<void> {
  const path = `/v1/workspaces/${id}/snapshots/${snapshot}/pin`;
  let answer = await world.ask('DELETE', path);
  while (answer.status === 409) answer = await world.ask('DELETE', path);
  expect(answer).toMatchObject({ status: 200 });
}

describe('a tenant at its limit of workspaces', () => {
  it('is refused one more under a key that makes it once there is room', async () => {
    const { workspaces } = await kept();
    limit({ '*': { workspacesMax: workspaces }, blue: { workspacesMax: 0 } });
    const body = { template: world.template };
    const ask = () => world.ask('POST', '/v1/workspaces', { body, key: 'more' });
    expectRefused(await ask(), 'workspaces');
    expect((await kept()).workspaces).toBe(workspaces);
    await world.ask('DELETE', `/v1/workspaces/${id}?keep=nothing`);
    expect((await ask()).status).toBe(201);
  });

  it('is let in as many as there is room for when many come at once', async () => {
    const { workspaces } = await kept();
    limit({ local: { workspacesMax: workspaces + 2 } });
    const body = { template: world.template };
    const asked = Array.from({ length: 6 }, () => world.ask('POST', '/v1/workspaces', { body }));
    const statuses = (await Promise.all(asked)).map(({ status }) => status).sort();
    expect(statuses).toEqual([201, 201, 507, 507, 507, 507]);
  });
});

describe('a tenant at its limit of snapshots', () => {
  it('is refused a call, keeps its answers and its way back, and those that only read', async () => {
    expect((await world.begin(id, 'first')).status).toBe(201);
    const repeated = { key: 'a repetition' };
    const body = { session: 's', harness: 'test', tool: 'Bash', key: 'second' };
    const ask = () => world.ask('POST', `/v1/workspaces/${id}/calls`, { body, ...repeated });
    const first = await ask();
    await pinned();
    limit({ local: { snapshotsMax: 1 } });
    expectRefused(await world.begin(id, 'third'), 'snapshots');
    expect((await ask()).body).toEqual(first.body);
    expect((await world.begin(id, 'fourth', { readOnly: true })).status).toBe(201);
    const back = { body: { target: '@' } };
    expect((await world.ask('POST', `/v1/workspaces/${id}/rollback`, back)).status).toBe(200);
    limit({});
    expect((await world.begin(id, 'third')).status).toBe(201);
  });

  it('is let in as many as there is room for when many come at once', async () => {
    const others = await Promise.all(Array.from({ length: 6 }, () => world.workspace()));
    const { snapshots } = await kept();
    limit({ local: { snapshotsMax: snapshots + 2 } });
    // A workspace each, so that no two wait for each other.
    const asked = others.map(({ id: one }) => world.begin(one, 'at once'));
    const statuses = (await Promise.all(asked)).map(({ status }) => status).sort();
    expect(statuses).toEqual([201, 201, 507, 507, 507, 507]);
  });

  it('is let go on when nothing holds its snapshots any more: a refusal has retention look', async () => {
    const { snapshots } = await kept();
    limit({ local: { snapshotsMax: snapshots + 3 } });
    const held: string[] = [];
    for (let one = await pinned(); one !== null; one = await pinned()) held.push(one);
    expect(held.length).toBeGreaterThanOrEqual(3);
    for (const one of held) await unpin(one);
    let last = await world.begin(id, 'free');
    for (let look = 0; look < LOOKS_MAX && last.status === 507; look += 1) {
      last = await world.begin(id, 'free');
    }
    expect(last.status).toBe(201);
  });
});
