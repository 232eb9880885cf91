/**
 * The service, killed at each step of making and deleting a workspace and of keeping an answer: the next
 * one ends or takes back what was half done, and a client that repeats itself gets what it asked for, once.
 */
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OPERATIONS } from '../../src/api/schema/operations.ts';
import type { ServiceStep } from '../../src/service/service-step.ts';
import { type Answer, type AskOptions, ServiceWorld } from './service-world.ts';

let world: ServiceWorld;

beforeEach(async () => {
  world = await ServiceWorld.make();
});

afterEach(async () => {
  await world?.[Symbol.asyncDispose]();
});

/** A life of the service that ends at a step of what it is asked; nobody gets an answer. */
async function killedAt(
  step: ServiceStep,
  method: string,
  path: string,
  options: AskOptions,
): Promise<void> {
  const child = await world.startChild(step);
  await expect(world.ask(method, path, options)).rejects.toThrow();
  expect(await world.ended(child)).toBeNull();
}

async function listed(): Promise<readonly string[]> {
  const { body } = await world.ask('GET', '/v1/workspaces');
  const { workspaces } = OPERATIONS.listWorkspaces.output.parse(body);
  return workspaces.map(({ workspace }) => workspace).filter((id) => id !== world.template);
}

/** What is on disk of workspaces that were made: trees, and files of the registry. */
function left(): { readonly trees: number; readonly records: number } {
  const work = join(world.poolRoot, 'work');
  const records = readdirSync(join(world.base, 'home', 'workspaces')).length;
  return { trees: existsSync(work) ? readdirSync(work).length : 0, records: records - 1 };
}

const CREATE: readonly ServiceStep[] = [
  ...(['create.inserted', 'create.registered', 'create.tree'] as const),
  ...(['create.cloned', 'create.active', 'answer.made', 'answer.kept'] as const),
];

describe('making a workspace', () => {
  const ask = (key: string): [string, string, AskOptions] => [
    ...(['POST', '/v1/workspaces'] as const),
    { body: { template: world.template, name: 'one' }, key },
  ];

  it.each(CREATE)('killed at %s', async (step) => {
    await world.stop();
    const key = world.newKey();
    await killedAt(step, ...ask(key));
    await world.start();
    expect((await listed()).length).toBe(left().trees);
    expect(left().records).toBe(left().trees);
    const made = OPERATIONS.createWorkspace.output.parse((await world.ask(...ask(key))).body);
    expect(made).toMatchObject({ name: 'one', status: 'active' });
    expect(await listed()).toEqual([made.workspace]);
    expect(left()).toEqual({ trees: 1, records: 1 });
    expect(readFileSync(join(made.path, 'src', 'a.txt'), 'utf8')).toBe('template');
    expect((await world.begin(made.workspace, 'k')).status).toBe(201);
  });

  it('killed, and killed again while it is taken back', async () => {
    await world.stop();
    const key = world.newKey();
    await killedAt('create.registered', ...ask(key));
    const again = await world.startChild('create.taken-back');
    expect(await world.ended(again)).toBeNull();
    await world.start();
    expect(await listed()).toEqual([]);
    expect(left()).toEqual({ trees: 0, records: 0 });
    expect((await world.ask(...ask(key))).status).toBe(201);
  });
});

const DELETE: readonly [ServiceStep, 'nothing' | 'directory', number][] = [
  ['delete.marked', 'nothing', 200],
  ['delete.destroyed', 'nothing', 404],
  ['delete.destroyed', 'directory', 404],
  ['delete.removed', 'nothing', 404],
  ['answer.kept', 'nothing', 200],
];

describe('deleting a workspace', () => {
  it.each(DELETE)('killed at %s, keeping %s: repeated it is answered with %i', async (...one) => {
    const [step, keep, status] = one;
    const { id, path } = await world.workspace();
    await world.begin(id, 'k');
    await world.stop();
    const where = `/v1/workspaces/${id}?keep=${keep}`;
    const key = world.newKey();
    await killedAt(step, 'DELETE', where, { key });
    await world.start();
    expect(await listed()).toEqual(step === 'delete.marked' ? [id] : []);
    expect((await world.ask('DELETE', where, { key })).status).toBe(status);
    expect(await listed()).toEqual([]);
    expect(left()).toEqual({ trees: keep === 'nothing' ? 0 : 1, records: 0 });
    if (keep === 'directory') {
      expect(readFileSync(join(path, 'src', 'a.txt'), 'utf8')).toBe('template');
    }
    expect(existsSync(join(world.poolRoot, '.ghostsnap', id))).toBe(false);
  });
});

describe('a tool call', () => {
  it.each([
    ['answer.made', true],
    ['answer.kept', false],
  ] as const)('whose begin was killed at %s is found again, once', async (step, repeated) => {
    const { id } = await world.workspace();
    await world.stop();
    const key = world.newKey();
    const body = { session: 's', harness: 'test', tool: 'Bash', key: 'k' };
    const where = `/v1/workspaces/${id}/calls`;
    await killedAt(step, 'POST', where, { body, key });
    await world.start();
    const again = await world.ask('POST', where, { body, key });
    expect(again).toMatchObject({ status: 201, body: { repeated } });
    const { calls } = OPERATIONS.listCalls.output.parse((await world.ask('GET', where)).body);
    expect(calls.map(({ call }) => call as string)).toEqual([again.body.call]);
    const end = (): Promise<Answer> =>
      world.ask('POST', `${where}/${again.body.call}/end`, { body: { outcome: 'ok' } });
    expect([(await end()).status, (await end()).status]).toEqual([200, 200]);
  });
});

describe('the ledger', () => {
  it('that is damaged keeps the service from starting, and says what it is', async () => {
    await world.stop();
    const file = join(world.base, 'home', 'service', 'ledger.db');
    const whole = readFileSync(file);
    truncateSync(file, 0);
    await expect(world.start()).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
    writeFileSync(file, whole);
    await world.start();
    expect(await listed()).toEqual([]);
  });
});
