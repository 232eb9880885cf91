/** The service as a platform uses it: real pool, real program parts, real HTTP over the unix socket. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { OPERATIONS, type OperationName } from '../../src/api/schema/operations.ts';
import { problem } from '../../src/api/schema/problem.ts';
import { type Answer, ServiceWorld } from './service-world.ts';

let world: ServiceWorld;

beforeAll(async () => {
  world = await ServiceWorld.make();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

/** What was answered is what the schema says, and nothing more. */
function output<Name extends OperationName>(
  name: Name,
  answer: Answer,
): z.output<(typeof OPERATIONS)[Name]['output']> {
  if (answer.status >= 300) throw new Error(JSON.stringify(answer.body));
  return OPERATIONS[name].output.parse(answer.body) as never;
}

function expectProblem(answer: Answer, code: string): void {
  expect(problem.parse(answer.body)).toMatchObject({ code, status: answer.status });
  expect(answer.headers['content-type']).toBe('application/problem+json');
}

describe('a workspace from a template', () => {
  it('holds the snapshot, and goes with its tree', async () => {
    const made = await world.ask('POST', '/v1/workspaces', {
      body: { template: world.template, name: 'first' },
    });
    expect(made.status).toBe(201);
    const { workspace, path, name, status } = output('createWorkspace', made);
    expect({ name, status }).toEqual({ name: 'first', status: 'active' });
    expect(readFileSync(join(path, 'src', 'a.txt'), 'utf8')).toBe('template');
    const shown = output('getWorkspace', await world.ask('GET', `/v1/workspaces/${workspace}`));
    expect(shown.snapshots).toBe(1);
    const gone = await world.ask('DELETE', `/v1/workspaces/${workspace}?keep=nothing`);
    expect(output('deleteWorkspace', gone).removedSnapshots).toBe(1);
    expect(existsSync(path)).toBe(false);
    expectProblem(await world.ask('GET', `/v1/workspaces/${workspace}`), 'WORKSPACE_NOT_FOUND');
  });

  it('has a name of its own', async () => {
    await world.workspace('taken');
    const body = { template: world.template, name: 'taken' };
    expectProblem(await world.ask('POST', '/v1/workspaces', { body }), 'WORKSPACE_EXISTS');
  });

  it('is listed a page at a time', async () => {
    const made = [await world.workspace(), await world.workspace(), await world.workspace()];
    const seen: string[] = [];
    for (let cursor = ''; ; ) {
      const path = `/v1/workspaces?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const page = output('listWorkspaces', await world.ask('GET', path));
      seen.push(...page.workspaces.map(({ workspace }) => workspace as string));
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(seen).toEqual(expect.arrayContaining([world.template, ...made.map(({ id }) => id)]));
  });

  it('leaves a directory when nothing else was asked for, and an adopted one always', async () => {
    const { id, path } = await world.workspace();
    const kept = output('deleteWorkspace', await world.ask('DELETE', `/v1/workspaces/${id}`));
    expect(kept.path).toBe(path);
    expect(readFileSync(join(path, 'src', 'a.txt'), 'utf8')).toBe('template');
    const template = `/v1/workspaces/${world.template}?keep=nothing`;
    expectProblem(await world.ask('DELETE', template), 'UNSUPPORTED_MODE');
  });
});

describe('a session', () => {
  it('is started again, whatever number of others was started since', async () => {
    const { id } = await world.workspace();
    const start = async (session: string) =>
      output(
        'startSession',
        await world.ask('POST', `/v1/workspaces/${id}/sessions`, {
          body: { session, harness: 'test' },
        }),
      );
    const first = await start('first');
    for (let i = 0; i < 100; i += 1) await start(`other-${i}`);
    expect(await start('first')).toEqual(first);
  });
});

describe('a tool call', () => {
  it('begins with a snapshot, ends, and is rolled back', async () => {
    const { id, path } = await world.workspace();
    const started = await world.ask('POST', `/v1/workspaces/${id}/sessions`, {
      body: { session: 's', harness: 'test' },
    });
    expect(output('startSession', started)).toMatchObject({ session: 's', endedAt: null });
    const begun = output(
      'beginCall',
      await world.begin(id, 'call-1', { input: { command: 'rm' } }),
    );
    expect(begun.snapshot).toMatch(/^ghost_/);
    rmSync(join(path, 'src'), { recursive: true });
    const end = `/v1/workspaces/${id}/calls/${begun.call}/end`;
    expect(output('endCall', await world.ask('POST', end, { body: { outcome: 'ok' } }))).toEqual({
      call: begun.call,
      outcome: 'ok',
    });
    const diff = await world.ask('GET', `/v1/workspaces/${id}/diff?from=${begun.snapshot}`);
    expect(output('diff', diff).changes.map(({ path: at, kind }) => `${kind} ${at}`)).toEqual([
      'metadata .',
      'deleted src',
      'deleted src/a.txt',
    ]);
    const back = await world.ask('POST', `/v1/workspaces/${id}/rollback`, {
      body: { target: begun.snapshot },
    });
    expect(output('rollback', back)).toMatchObject({ kind: 'rollback', target: begun.snapshot });
    expect(readFileSync(join(path, 'src', 'a.txt'), 'utf8')).toBe('template');
    output('undo', await world.ask('POST', `/v1/workspaces/${id}/undo`));
    expect(existsSync(join(path, 'src'))).toBe(false);
    const calls = output('listCalls', await world.ask('GET', `/v1/workspaces/${id}/calls`));
    expect(calls.calls).toMatchObject([{ call: begun.call, outcome: 'ok', tool: 'Bash' }]);
  });

  it('that is ended twice has ended, and one that nobody began has not', async () => {
    const { id } = await world.workspace();
    const { call } = output('beginCall', await world.begin(id, 'k'));
    const end = `/v1/workspaces/${id}/calls/${call}/end`;
    for (let i = 0; i < 2; i += 1) {
      const ended = await world.ask('POST', end, { body: { outcome: 'failed' } });
      expect(output('endCall', ended).outcome).toBe('failed');
    }
    const unknown = `/v1/workspaces/${id}/calls/call_01J9Z3K4M5N6P7Q8R9S0T1V2W3/end`;
    expectProblem(await world.ask('POST', unknown, { body: { outcome: 'ok' } }), 'CALL_NOT_FOUND');
  });

  it('restores paths, pins, labels, and lists snapshots', async () => {
    const { id, path } = await world.workspace();
    const { snapshot } = output('beginCall', await world.begin(id, 'k'));
    writeFileSync(join(path, 'src', 'a.txt'), 'changed');
    writeFileSync(join(path, 'new'), 'kept');
    const restore = { target: snapshot, paths: ['src/a.txt'] };
    output('restore', await world.ask('POST', `/v1/workspaces/${id}/restore`, { body: restore }));
    expect(readFileSync(join(path, 'src', 'a.txt'), 'utf8')).toBe('template');
    expect(readFileSync(join(path, 'new'), 'utf8')).toBe('kept');
    const pin = `/v1/workspaces/${id}/snapshots/${snapshot}/pin`;
    expect(output('pinSnapshot', await world.ask('PUT', pin)).pinned).toBe(true);
    expect(output('unpinSnapshot', await world.ask('DELETE', pin)).pinned).toBe(false);
    const label = { label: 'before the change' };
    const named = `/v1/workspaces/${id}/snapshots/${snapshot}/label`;
    expect(output('labelSnapshot', await world.ask('PUT', named, { body: label }))).toMatchObject(
      label,
    );
    const first = await world.ask('GET', `/v1/workspaces/${id}/snapshots?limit=1`);
    expect(output('listSnapshots', first).nextCursor).not.toBeNull();
  });
});

describe('an idempotency key', () => {
  it('gives the first answer again, also to a request at the same time', async () => {
    const { id } = await world.workspace();
    const body = { label: 'once' };
    const key = world.newKey();
    const ask = (): Promise<Answer> =>
      world.ask('POST', `/v1/workspaces/${id}/snapshots`, { body, key });
    const [one, two] = await Promise.all([ask(), ask()]);
    const three = await ask();
    expect(two.body).toEqual(one.body);
    expect(three.body).toEqual(one.body);
    const listed = await world.ask('GET', `/v1/workspaces/${id}/snapshots`);
    expect(output('listSnapshots', listed).snapshots).toHaveLength(2);
  });

  it('outlives the service', async () => {
    const { id } = await world.workspace();
    const key = world.newKey();
    const body = { session: 's', harness: 'test', tool: 'Bash', key: 'k' };
    const first = await world.ask('POST', `/v1/workspaces/${id}/calls`, { body, key });
    await world.stop();
    await world.start();
    const again = await world.ask('POST', `/v1/workspaces/${id}/calls`, { body, key });
    expect(again.body).toEqual(first.body);
  });

  it('that comes with another request is a conflict, and without one nothing is changed', async () => {
    const { id } = await world.workspace();
    const key = world.newKey();
    const path = `/v1/workspaces/${id}/snapshots`;
    await world.ask('POST', path, { body: { label: 'one' }, key });
    const other = await world.ask('POST', path, { body: { label: 'two' }, key });
    expectProblem(other, 'IDEMPOTENCY_CONFLICT');
    expectProblem(await world.ask('POST', path, { key: null }), 'BAD_ARGUMENT');
    const listed = await world.ask('GET', path);
    expect(output('listSnapshots', listed).snapshots).toHaveLength(2);
  });
});

describe('a request that is wrong', () => {
  it('is told so, field by field, and does nothing', async () => {
    const { id } = await world.workspace();
    const path = `/v1/workspaces/${id}/calls`;
    for (const body of [{}, { session: 's' }, { session: 's', unknown: 1 }, [1], 'text']) {
      expectProblem(await world.ask('POST', path, { body }), 'BAD_ARGUMENT');
    }
    expectProblem(await world.ask('GET', `${path}?limit=ten`), 'BAD_ARGUMENT');
    expectProblem(await world.ask('GET', '/v1/workspaces/ws_1'), 'BAD_ARGUMENT');
    expectProblem(await world.ask('GET', '/v1/nothing'), 'ROUTE_NOT_FOUND');
    expectProblem(
      await world.ask('GET', '/v1/workspaces/ws_01J9Z3K4M5N6P7Q8R9S0T1V2W3'),
      'WORKSPACE_NOT_FOUND',
    );
  });

  it('is not waited for beyond its deadline', async () => {
    const { id } = await world.workspace();
    const late = await world.ask('POST', `/v1/workspaces/${id}/snapshots`, {
      headers: { 'ghostsnap-timeout-ms': '0' },
    });
    expect(['DEADLINE_EXCEEDED', 'OVERLOADED']).toContain(late.body.code);
    expect(late.status).toBe(503);
  });
});

describe('the events of a workspace', () => {
  it('are followed from any sequence, in order, without a gap', async () => {
    const { id } = await world.workspace();
    await world.begin(id, 'a');
    const page = await world.ask('GET', `/v1/workspaces/${id}/events?after=1&limit=2`);
    expect(output('listEvents', page).events.map(({ sequence }) => sequence)).toEqual([2, 3]);
    const followed = follow(`/v1/workspaces/${id}/events/stream`, 3);
    const begun = output('beginCall', await world.begin(id, 'b'));
    const events = await followed.until((event) => event.data.call === begun.call);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => 4 + index));
    expect(events.at(-1)?.type).toBe('call.begun');
  });
});

describe('what a turn would do', () => {
  it('is said a page at a time, for one target, and nothing is done', async () => {
    const { id, path } = await world.workspace();
    const at = `/v1/workspaces/${id}`;
    for (const name of ['one', 'two', 'three']) writeFileSync(join(path, name), name);
    const seen: string[] = [];
    for (let cursor = ''; ; ) {
      const answer = await world.ask('GET', `${at}/plan?kind=rollback&target=@&limit=2${cursor}`);
      const page = output('planTurn', answer);
      expect(page).toMatchObject({ mode: expect.any(String), modeReason: expect.any(String) });
      seen.push(...page.changes.map((change) => `${change.kind} ${change.path}`));
      if (page.nextCursor === null) break;
      cursor = `&cursor=${page.nextCursor}`;
      // What "@" means now is no matter of the plan that was begun.
      await world.ask('POST', `${at}/snapshots`, { body: {} });
    }
    expect(seen).toEqual(['metadata .', 'deleted one', 'deleted three', 'deleted two']);
    expect(existsSync(join(path, 'one'))).toBe(true);
  });

  it('is said of undo, of paths and of a tool call, and of nothing that makes no sense', async () => {
    const { id, path } = await world.workspace();
    const at = `/v1/workspaces/${id}`;
    const begun = output('beginCall', await world.begin(id, 'k'));
    writeFileSync(join(path, 'src', 'a.txt'), 'changed');
    await world.ask('POST', `${at}/calls/${begun.call}/end`, { body: { outcome: 'ok' } });
    const undo = output('planTurn', await world.ask('GET', `${at}/plan?kind=undo`));
    expect(undo.target).toBe(begun.snapshot);
    const restore = `${at}/plan?kind=restore&target=@&paths=src`;
    const changed = output('planTurn', await world.ask('GET', restore)).changes;
    expect(changed).toMatchObject([{ kind: 'modified', path: 'src/a.txt' }]);
    const call = await world.ask('GET', `${at}/calls/${begun.call}/undo`);
    expect(output('planUndoCall', call).steps).toMatchObject([{ path: 'src/a.txt' }]);
    for (const query of [
      ...['kind=rollback', 'kind=restore&target=@', 'kind=undo&target=@', 'kind=redo&paths=src'],
      'kind=rollback&target=@&paths=src',
    ]) {
      expectProblem(await world.ask('GET', `${at}/plan?${query}`), 'BAD_ARGUMENT');
    }
    const undone = await world.ask('POST', `${at}/calls/${begun.call}/undo`, { body: {} });
    expect(output('undoCall', undone)).toMatchObject({ call: begun.call, conflicts: [] });
    const { operations } = output('listOperations', await world.ask('GET', `${at}/operations`));
    expect(operations).toMatchObject([{ kind: 'undo-call', outcome: 'completed' }]);
  });
});

describe('what there is to see', () => {
  it('is found by name, with what it is taken before, asked and not covered', async () => {
    const { id, path } = await world.workspace('sought');
    const named = output('listWorkspaces', await world.ask('GET', '/v1/workspaces?name=sought'));
    expect(named.workspaces.map(({ workspace }) => workspace)).toEqual([id]);
    const none = output('listWorkspaces', await world.ask('GET', '/v1/workspaces?name=nobody'));
    expect(none.workspaces).toEqual([]);
    const at = `/v1/workspaces/${id}`;
    const before = { tool: 'Bash', session: 's', call: 'c' };
    const taken = await world.ask('POST', `${at}/snapshots`, { body: before });
    const { snapshot } = output('takeSnapshot', taken);
    expect(snapshot).toMatchObject(before);
    const older = `${at}/snapshots?before=${snapshot.id}&limit=1`;
    const [first] = output('listSnapshots', await world.ask('GET', older)).snapshots;
    expect(first?.id).toBe(snapshot.parent);
    const asked = { session: 's', harness: 'test', text: 'edit it' };
    await world.ask('POST', `${at}/prompts`, { body: asked });
    const { prompts } = output('listPrompts', await world.ask('GET', `${at}/prompts`));
    expect(prompts).toMatchObject([{ session: 's', text: 'edit it' }]);
    output('listUnattributed', await world.ask('GET', `${at}/unattributed`));
    const socket = http.createServer().listen(join(path, 'socket'));
    const looked = await world.ask('GET', `${at}/uncovered`);
    expect(output('listUncovered', looked).uncovered).toEqual([
      { path: 'socket', reason: 'socket' },
    ]);
    socket.close();
  });

  it('is a renamed path, where that is asked for, and no difference of times alone', async () => {
    const { id, path } = await world.workspace();
    renameSync(join(path, 'src', 'a.txt'), join(path, 'src', 'b.txt'));
    const diff = `/v1/workspaces/${id}/diff?from=@`;
    const asked = await world.ask('GET', `${diff}&renames=true&mtimes=false`);
    expect(output('diff', asked)).toMatchObject({
      changes: [{ kind: 'renamed', path: 'src/b.txt', oldPath: 'src/a.txt' }],
      renamesSkipped: false,
    });
    const plain = output('diff', await world.ask('GET', diff));
    expect(plain.changes.map(({ kind }) => kind)).toEqual(['metadata', 'deleted', 'added']);
  });

  it('is deleted by name, a snapshot that no rule would drop included', async () => {
    const { id } = await world.workspace();
    const at = `/v1/workspaces/${id}`;
    const label = { label: 'doomed' };
    const taken = await world.ask('POST', `${at}/snapshots`, { body: label });
    const { snapshot } = output('takeSnapshot', taken);
    const body = { act: 'apply', snapshots: ['doomed'] };
    const pruned = output('prune', await world.ask('POST', `${at}/retention`, { body }));
    expect(pruned).toMatchObject({ deleted: [snapshot.id], unfinished: null });
  });
});

interface Followed {
  readonly sequence: number;
  readonly type: string;
  readonly data: Record<string, unknown>;
}

/** Reads a stream of events as a browser does, from `lastId` on. */
function follow(
  path: string,
  lastId: number,
): { until(isLast: (event: Followed) => boolean): Promise<Followed[]> } {
  const events: Followed[] = [];
  let onEvent = (): void => undefined;
  const headers = { 'last-event-id': String(lastId) };
  const request = http.get({ socketPath: world.socket, path, headers, agent: false });
  request.on('response', (response) => {
    let text = '';
    response.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
        text = text.slice(end + 2);
        if (data === undefined) continue;
        events.push(JSON.parse(data) as Followed);
        onEvent();
      }
    });
  });
  return {
    until: async (isLast) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      request.once('error', reject);
      onEvent = () => {
        if (events.some(isLast)) resolve();
      };
      onEvent();
      await promise;
      request.destroy();
      return events;
    },
  };
}
