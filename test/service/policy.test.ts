/** Calls of a service are judged by its operator's policy when they end, and a rollback is done. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { OPERATIONS } from '../../src/api/schema/operations.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import { callId, nextUlid } from '../../src/core/ids.ts';
import { adviseOnCall } from '../../src/service/call-operations.ts';
import { ServiceWorld } from './service-world.ts';

const FLOOR = { rules: [{ rule: 'deleted-files', max: 0, action: 'rollback' }] };

let world: ServiceWorld;

beforeAll(async () => {
  world = await ServiceWorld.make({ policy: FLOOR });
});

beforeEach(() => reconfigure({ policy: FLOOR }));

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

function reconfigure(config: Readonly<Record<string, unknown>>): void {
  world.configure(config);
  world.reload();
}

interface Ended {
  readonly id: string;
  readonly path: string;
  readonly end: () => ReturnType<ServiceWorld['ask']>;
  readonly call: string;
}

/** A call that is about to end. @param before what is there before it @param act what it does */
async function called(
  act: (path: string) => void,
  before: (path: string) => void = () => undefined,
): Promise<Ended> {
  const { id, path } = await world.workspace();
  before(path);
  const { body } = await world.begin(id, 'k');
  const call = String(body.call);
  act(path);
  const end = () =>
    world.ask('POST', `/v1/workspaces/${id}/calls/${call}/end`, { body: { outcome: 'ok' } });
  return { id, path, call, end };
}

const deleteSources = (path: string): void => rmSync(join(path, 'src'), { recursive: true });
const source = (path: string): string => join(path, 'src', 'a.txt');
const policyFile = (rules: readonly unknown[]) => (path: string) =>
  writeFileSync(join(path, 'ghostsnap.json'), JSON.stringify({ policy: { rules } }));

function audit(): Record<string, unknown>[] {
  const log = readFileSync(join(world.base, 'home', 'service', 'audit.log'), 'utf8');
  const lines = log.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('a call that ends', () => {
  it('and that the policy takes back is gone when its end is answered, in the answer, the events and the audit log', async () => {
    const { id, path, call, end } = await called(deleteSources);
    const { judged } = OPERATIONS.endCall.output.parse((await end()).body);
    expect(judged).toMatchObject({ action: 'rollback', operation: expect.stringMatching(/^op_/) });
    expect(judged?.message).toContain('was put back to the state before this call');
    expect(judged?.findings).toMatchObject([{ rule: 'deleted-files' }]);
    expect(readFileSync(source(path), 'utf8')).toBe('template');
    const { body } = await world.ask('GET', `/v1/workspaces/${id}/events?after=0`);
    const { events } = OPERATIONS.listEvents.output.parse(body);
    expect(events.find(({ type }) => type === 'call.judged')?.data).toMatchObject({
      ...{ call, action: 'rollback', operation: judged?.operation },
    });
    expect(audit().slice(-2)).toMatchObject([
      { event: 'turn.asked', operation: 'policyRollback', workspace: id, target: call },
      { event: 'turn.done', turn: judged?.operation },
    ]);
    expect((await world.ask('POST', `/v1/workspaces/${id}/undo`)).status).toBe(200);
    expect(existsSync(source(path))).toBe(false);
  });

  it('is told the same again, and not taken back twice', async () => {
    const { id, path, call, end } = await called(deleteSources);
    const { judged } = OPERATIONS.endCall.output.parse((await end()).body);
    const lines = audit().length;
    writeFileSync(source(path), 'after it');
    expect((await end()).body).toMatchObject({
      judged: { action: 'rollback', operation: judged?.operation, findings: judged?.findings },
    });
    expect(readFileSync(source(path), 'utf8')).toBe('after it');
    expect(audit()).toHaveLength(lines);
    const shown = await world.ask('GET', `/v1/workspaces/${id}/calls/${call}`);
    expect(shown.body).toMatchObject({ judged: { action: 'rollback' } });
  });

  it('and that did nothing that a rule objects to is judged, and nothing is told', async () => {
    const { end } = await called((path) => writeFileSync(source(path), 'changed'));
    expect((await end()).body).toMatchObject({ outcome: 'ok', judged: null });
  });

  it('is not judged where the operator asked for none', async () => {
    reconfigure({});
    const { path, end } = await called(deleteSources, policyFile(FLOOR.rules));
    expect(OPERATIONS.endCall.output.parse((await end()).body)).not.toHaveProperty('judged');
    expect(existsSync(source(path))).toBe(false);
  });
});

describe('a call that begins', () => {
  const asking = (action: string) => ({
    rules: [{ rule: 'destructive-commands', except: [], action }],
  });
  const input = { command: 'cd src && rm -rf .' };

  /** @returns the call as its begin was answered */
  async function begun(more: Readonly<Record<string, unknown>>, id?: string) {
    const workspace = id ?? (await world.workspace()).id;
    const { status, body } = await world.begin(workspace, 'k', more);
    expect(status).toBe(201);
    return { workspace, ...OPERATIONS.beginCall.output.parse(body) };
  }

  it('with a command that destroys is answered with advice, which is built in', async () => {
    const { advice } = await begun({ input });
    expect(advice).toMatchObject({ action: 'warn', message: expect.stringContaining('- rm -r:') });
  });

  it('asks a person where the operator says so, and is not judged when it was not let run', async () => {
    reconfigure({ policy: { rules: [...asking('ask').rules, ...FLOOR.rules] } });
    const { id, path } = await world.workspace();
    const { advice, call } = await begun({ input }, id);
    expect(advice).toMatchObject({ action: 'ask' });
    // Of somebody else, meanwhile.
    deleteSources(path);
    const end = `/v1/workspaces/${id}/calls/${call}/end`;
    const ended = await world.ask('POST', end, { body: { outcome: 'blocked' } });
    expect(ended.body).toEqual({ call, outcome: 'blocked' });
    expect(existsSync(source(path))).toBe(false);
    const { body } = await world.ask('GET', `/v1/workspaces/${id}/calls/${call}`);
    expect(body).toMatchObject({ outcome: 'blocked', judged: null });
  });

  it("asks where the workspace's own file, as it was before the call, asks", async () => {
    const { id, path } = await world.workspace();
    policyFile(asking('ask').rules)(path);
    expect((await begun({ input }, id)).advice).toMatchObject({ action: 'ask' });
  });

  it('is told the same when it is repeated', async () => {
    const { id } = await world.workspace();
    const first = await begun({ input }, id);
    expect(await begun({ input }, id)).toMatchObject({ repeated: true, advice: first.advice });
  });

  it.each([
    ['a command that destroys nothing', { input: { command: 'ls -la' } }],
    ['no command', { input: { file: 'rm -rf /' } }],
    ['no input', {}],
  ])('is answered that there is nothing to say: %s', async (_what, more) => {
    expect((await begun(more)).advice).toBeNull();
  });

  it('is told nothing where the service has no policy', async () => {
    reconfigure({});
    expect(await begun({ input })).not.toHaveProperty('advice');
  });

  it('runs where the policy cannot be asked, which is told and logged', async () => {
    const failure = new GhostsnapError('IO', 'The snapshot cannot be read.');
    const workspace = { adviseCall: () => Promise.reject(failure) };
    const logged: unknown[] = [];
    const onError = (error: unknown): void => void logged.push(error);
    const call = callId(nextUlid('', 1, new Uint8Array(10)));
    expect(await adviseOnCall(workspace, { call, input }, onError)).toEqual({
      action: 'warn',
      message: 'ghostsnap: the policy could not be asked. The snapshot cannot be read.',
    });
    expect(logged).toEqual([failure]);
  });
});

describe("the workspace's own file", () => {
  it.each([
    ['milder rules', policyFile([{ rule: 'deleted-files', max: 1000, action: 'note' }])],
    ['a rule that is off', policyFile([{ rule: 'deleted-files', action: 'off' }])],
    ['no JSON', (path: string) => writeFileSync(join(path, 'ghostsnap.json'), '{')],
  ])('loosens nothing of what the operator demands: %s', async (_what, before) => {
    const { path, end } = await called(deleteSources, before);
    expect((await end()).body).toMatchObject({ judged: { action: 'rollback' } });
    expect(existsSync(source(path))).toBe(true);
  });

  it('adds to it, as it stood before the call', async () => {
    const rules = [{ rule: 'protected-paths', paths: ['/src/a.txt'], action: 'rollback' }];
    const { path, end } = await called((at) => {
      writeFileSync(source(at), 'changed');
      rmSync(join(at, 'ghostsnap.json'));
    }, policyFile(rules));
    expect((await end()).body).toMatchObject({ judged: { action: 'rollback' } });
    expect(readFileSync(source(path), 'utf8')).toBe('template');
  });

  it('counts for nothing where the operator says so', async () => {
    reconfigure({ policy: { workspaceFile: 'ignore' } });
    const rules = [{ rule: 'protected-paths', paths: ['/src/a.txt'], action: 'rollback' }];
    const act = (path: string): void => writeFileSync(source(path), 'changed');
    const { path, end } = await called(act, policyFile(rules));
    expect((await end()).body).toMatchObject({ judged: null });
    expect(readFileSync(source(path), 'utf8')).toBe('changed');
  });
});

describe('judging', () => {
  it('that finds no place has recorded the end all the same, and is done when the end is repeated', async () => {
    await world.stop();
    const read = { concurrent: 1, waitingMax: 0, waitingOfTenantMax: 0 };
    world.configure({ policy: FLOOR, lanes: { read } });
    await world.start();
    const calls = await Promise.all(Array.from({ length: 8 }, () => called(deleteSources)));
    const answers = await Promise.all(calls.map(({ end }) => end()));
    expect(answers.map(({ status }) => status).filter((status) => status !== 200)).toContain(503);
    for (const { id, call, end, path } of calls) {
      const { body } = await world.ask('GET', `/v1/workspaces/${id}/calls/${call}`);
      expect(body).toMatchObject({ outcome: 'ok' });
      expect((await end()).body).toMatchObject({ judged: { action: 'rollback' } });
      expect(existsSync(source(path))).toBe(true);
    }
  });

  it('takes nothing back that could not be written down', async () => {
    const file = join(world.base, 'home', 'service', 'audit.log');
    rmSync(file, { force: true });
    mkdirSync(file);
    const { path, end, id, call } = await called(deleteSources);
    const refused = await end();
    rmSync(file, { recursive: true });
    expect(refused).toMatchObject({ status: 500, body: { code: 'IO' } });
    expect(existsSync(source(path))).toBe(false);
    const { body } = await world.ask('GET', `/v1/workspaces/${id}/calls/${call}`);
    expect(body).toMatchObject({ outcome: 'ok', judged: null });
    expect((await end()).body).toMatchObject({ judged: { action: 'rollback' } });
  });
});
