/** Operations of the service that other tests do not ask over HTTP: adopt, undo, prune, usage, a stop. */
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { OPERATIONS, type OperationName } from '../../src/api/schema/operations.ts';
import { type Answer, ServiceWorld } from './service-world.ts';

let world: ServiceWorld;

beforeAll(async () => {
  world = await ServiceWorld.make();
  mkdirSync(projects());
  world.configure({ adoptBelow: [projects()] });
  world.reload();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

const projects = (): string => join(world.poolRoot, 'projects');

function output<Name extends OperationName>(
  name: Name,
  answer: Answer,
): z.output<(typeof OPERATIONS)[Name]['output']> {
  if (answer.status >= 300) throw new Error(JSON.stringify(answer.body));
  return OPERATIONS[name].output.parse(answer.body) as never;
}

describe('adopting a directory', () => {
  const adopt = (path: string, more = {}): Promise<Answer> =>
    world.ask('POST', '/v1/workspaces/adopt', { body: { path, ...more } });

  it('makes it a workspace where it stands, once however often it is asked', async () => {
    const path = join(projects(), 'mine');
    mkdirSync(path);
    writeFileSync(join(path, 'file'), 'kept');
    const adopted = output('adoptWorkspace', await adopt(path, { name: 'mine' }));
    expect(adopted).toMatchObject({ path, name: 'mine', template: null, status: 'active' });
    expect(output('adoptWorkspace', await adopt(path))).toEqual(adopted);
    expect(readFileSync(join(path, 'file'), 'utf8')).toBe('kept');
    const begun = output('beginCall', await world.begin(adopted.workspace, 'k'));
    expect(begun.snapshot).toMatch(/^ghost_/);
    const gone = await world.ask('DELETE', `/v1/workspaces/${adopted.workspace}`);
    expect(output('deleteWorkspace', gone).path).toBe(path);
    expect(readFileSync(join(path, 'file'), 'utf8')).toBe('kept');
  });

  it('is refused outside of the directories for it, by a link too, and the directories themselves', async () => {
    const outside = join(world.base, 'outside');
    mkdirSync(outside);
    const link = join(projects(), 'link');
    symlinkSync(outside, link);
    for (const path of [outside, link, projects(), join(projects(), '..', '..')]) {
      expect(await adopt(path), path).toMatchObject({
        ...{ status: 403, body: { code: 'NOT_PERMITTED' } },
      });
    }
  });
});

describe('going back and forth', () => {
  it('takes one call back and keeps what came later', async () => {
    const { id, path } = await world.workspace();
    const first = output('beginCall', await world.begin(id, 'one'));
    writeFileSync(join(path, 'one'), '1');
    await end(id, first.call);
    const second = output('beginCall', await world.begin(id, 'two'));
    writeFileSync(join(path, 'two'), '2');
    await end(id, second.call);
    await world.ask('POST', `/v1/workspaces/${id}/snapshots`);
    const undone = await world.ask('POST', `/v1/workspaces/${id}/calls/${first.call}/undo`);
    expect(output('undoCall', undone)).toMatchObject({ kind: 'undo-call' });
    expect([existsSync(join(path, 'one')), existsSync(join(path, 'two'))]).toEqual([false, true]);
  });

  it('undoes and redoes, and says when there is nothing to redo', async () => {
    const { id, path } = await world.workspace();
    const { snapshot } = output('beginCall', await world.begin(id, 'k'));
    writeFileSync(join(path, 'src', 'a.txt'), 'changed');
    const at = (turn: string): string => `/v1/workspaces/${id}/${turn}`;
    const content = (): string => readFileSync(join(path, 'src', 'a.txt'), 'utf8');
    output('rollback', await world.ask('POST', at('rollback'), { body: { target: snapshot } }));
    expect(content()).toBe('template');
    output('undo', await world.ask('POST', at('undo')));
    expect(content()).toBe('changed');
    output('redo', await world.ask('POST', at('redo')));
    expect(content()).toBe('template');
    const nothing = await world.ask('POST', at('redo'));
    expect(nothing).toMatchObject({ status: 404, body: { code: 'NOTHING_TO_REDO' } });
  });
});

async function end(id: string, call: string): Promise<void> {
  const path = `/v1/workspaces/${id}/calls/${call}/end`;
  output('endCall', await world.ask('POST', path, { body: { outcome: 'ok' } }));
}

describe('retention', () => {
  it('is planned without an effect, and applied without what is pinned', async () => {
    const retention = {
      keepLast: 1,
      keepWithinMs: 0,
      hourlyForMs: 0,
      dailyForMs: 0,
      weeklyForMs: 0,
    };
    writeFileSync(join(world.base, 'home', 'config.json'), JSON.stringify({ retention }));
    const { id, path } = await world.workspace();
    const taken: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      writeFileSync(join(path, 'file'), String(count));
      const answer = await world.ask('POST', `/v1/workspaces/${id}/snapshots`);
      taken.push(output('takeSnapshot', answer).snapshot.id);
    }
    const [pinned = ''] = taken;
    output('pinSnapshot', await world.ask('PUT', `/v1/workspaces/${id}/snapshots/${pinned}/pin`));
    const prune = async (body: object) =>
      output('prune', await world.ask('POST', `/v1/workspaces/${id}/retention`, { body }));
    const listed = async (): Promise<string[]> => {
      const { body } = await world.ask('GET', `/v1/workspaces/${id}/snapshots`);
      return OPERATIONS.listSnapshots.output.parse(body).snapshots.map((one) => one.id);
    };
    const planned = await prune({});
    expect(planned.deleted).toEqual([]);
    expect(await listed()).toHaveLength(5);
    const dropped = planned.decisions.filter(({ keep }) => !keep).map((one) => one.id);
    expect(dropped).toEqual(expect.arrayContaining(taken.slice(1, 3)));
    expect([...(await prune({ act: 'apply' })).deleted].sort()).toEqual([...dropped].sort());
    expect(await listed()).toEqual([taken[3], pinned]);
    rmSync(join(world.base, 'home', 'config.json'));
  });
});

describe('usage', () => {
  it('of the tenant and of a workspace', async () => {
    const { id } = await world.workspace();
    await world.begin(id, 'k');
    const all = output('getUsage', await world.ask('GET', '/v1/usage'));
    expect(all).toMatchObject({ tenant: 'local', pools: [{ name: 'served' }] });
    expect(all.pools[0]?.freeBytes).toBeLessThan(all.pools[0]?.totalBytes ?? 0);
    const { body } = await world.ask('GET', '/v1/workspaces?limit=1000');
    expect(OPERATIONS.listWorkspaces.output.parse(body).workspaces).toHaveLength(all.workspaces);
    const one = await world.ask('GET', `/v1/workspaces/${id}/usage`);
    expect(output('getWorkspaceUsage', one)).toMatchObject({
      ...{ workspace: id, snapshots: 2, pinned: 0, callsInFlight: 1 },
    });
  });
});

describe('a stop', () => {
  it('answers what runs, and refuses what comes with 503 and Retry-After', async () => {
    const { id } = await world.workspace();
    const held = await world.hold(id);
    const runs = world.begin(id, 'runs');
    // A request that has begun to come in keeps its connection; the rest of it comes after the stop began.
    const late = net.connect(world.socket);
    const key = world.newKey();
    const body = JSON.stringify({ session: 's', harness: 'test', tool: 'Bash', key: 'late' });
    late.write(
      `POST /v1/workspaces/${id}/calls HTTP/1.1\r\nHost: local\r\nIdempotency-Key: ${key}\r\n`,
    );
    // A round trip behind both.
    await world.ask('GET', '/v1/usage');
    world.log.length = 0;
    const stopped = world.stop();
    await world.logged('stopping');
    late.write(`Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const [answer] = (await text(late)).split('\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toMatch(/\r\nretry-after: \d+\r\n/i);
    await held.letGo();
    expect((await runs).status).toBe(201);
    await stopped;
    const refused = net.connect(world.socket);
    await expect(once(refused, 'connect')).rejects.toThrow('ENOENT');
    await world.start();
    const { body: listed } = await world.ask('GET', `/v1/workspaces/${id}/calls`);
    expect(listed.calls).toMatchObject([{ key: 'runs' }]);
  });
});
