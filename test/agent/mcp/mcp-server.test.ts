/** The MCP server as the official client sees it, over a real workspace. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { ElicitRequestSchema, type ElicitResult } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, it } from 'vitest';
import { parseMcpPolicy } from '../../../src/agent/mcp/mcp-policy.ts';
import { createMcpServer } from '../../../src/agent/mcp/mcp-server.ts';
import { type OpenStore, openStore } from '../open-store.ts';

interface World extends AsyncDisposable, Pick<OpenStore, 'workspace'> {
  readonly client: Client;
  readonly notes: string;
  /** What the person was asked. */
  readonly questions: readonly string[];
  call(name: string, given?: Record<string, unknown>): Promise<{ text: string; data: Data }>;
}

type Data = Record<string, unknown>;

/** `answer`: what the person says; null for a client that cannot ask. */
async function connect(answer: ElicitResult | null, tools: Data = {}): Promise<World> {
  const store = await openStore();
  const parsed = parseMcpPolicy({ tools });
  if ('errors' in parsed) throw new Error(parsed.errors.join());
  const { policy } = parsed;
  const server = createMcpServer({ workspace: store.workspace, policy, version: '0.0.0' });
  const client = new Client(
    { name: 'test', version: '1.0.0' },
    { capabilities: answer === null ? {} : { elicitation: {} } },
  );
  const questions: string[] = [];
  if (answer !== null) {
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      questions.push(params.message);
      return answer;
    });
  }
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.connect(far);
  await client.connect(near);
  return {
    ...{ client, questions, workspace: store.workspace, notes: join(store.path, 'notes.txt') },
    call: async (name, given = {}) => {
      const result = await client.callTool({ name, arguments: given });
      const [first] = result.content as { text: string }[];
      const isError = result.isError === true;
      return {
        text: isError ? `error: ${first?.text}` : '',
        data: (result.structuredContent ?? {}) as Data,
      };
    },
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await store[Symbol.asyncDispose]();
    },
  };
}

const YES: ElicitResult = { action: 'accept', content: { confirm: true } };

describe('the MCP server', () => {
  it('says of each tool what it does to the world', async () => {
    await using world = await connect(null);
    const { tools } = await world.client.listTools();
    const hints = tools.map(({ name, annotations }) => [
      name,
      annotations?.readOnlyHint,
      annotations?.destructiveHint,
      annotations?.idempotentHint,
    ]);
    expect(hints).toEqual([
      ['list', true, false, true],
      ['diff', true, false, true],
      ['snapshot', false, false, false],
      ['rollback', false, true, true],
      ['restore', false, true, true],
      ['undo', false, true, false],
    ]);
    expect(tools.every(({ outputSchema }) => outputSchema?.type === 'object')).toBe(true);
  });

  it('takes snapshots and looks, unasked, with results that fit their schemas', async () => {
    await using world = await connect(null);
    const { data: taken } = await world.call('snapshot', { label: 'mine' });
    writeFileSync(world.notes, 'changed\n');
    const { data: difference } = await world.call('diff', { from: 'mine' });
    expect(difference).toMatchObject({
      changes: [{ path: 'notes.txt', kind: 'modified', sizeBefore: 10, sizeAfter: 8 }],
      stats: { modified: 1 },
      truncated: false,
    });
    const { data: log } = await world.call('list', { limit: 1 });
    expect(log).toMatchObject({ snapshots: [{ id: taken.id, label: 'mine' }] });
    expect(world.questions).toEqual([]);
  });

  it('counts every change and lists as many as were asked for', async () => {
    await using world = await connect(null);
    for (let n = 0; n < 5; n += 1) writeFileSync(`${world.notes}.${n}`, '');
    const { data } = await world.call('diff', { from: '@', limit: 2 });
    expect(data).toMatchObject({ stats: { added: 5 }, truncated: true });
    expect(data.changes).toHaveLength(2);
  });

  it('refuses to go back when the client cannot ask a person, and says what a person can do', async () => {
    await using world = await connect(null);
    const { id } = await world.workspace.snapshot();
    writeFileSync(world.notes, 'changed\n');
    for (const [tool, given] of [
      ['rollback', { to: '@' }],
      ['restore', { from: '@', paths: ['notes.txt'] }],
      ['undo', {}],
    ] as const) {
      expect((await world.call(tool, given)).text).toContain('[CONFIRMATION_NEEDED]');
    }
    const { text } = await world.call('rollback', { to: '@' });
    expect(text).toContain(`ghostsnap rollback ${id}`);
    expect(readFileSync(world.notes, 'utf8')).toBe('changed\n');
  });

  it('rolls back when the person says yes, having shown what would change, and undoes it', async () => {
    await using world = await connect(YES);
    const { id } = await world.workspace.snapshot();
    writeFileSync(world.notes, 'changed\n');
    const { data } = await world.call('rollback', { to: '@' });
    expect(data).toMatchObject({ kind: 'rollback', target: id });
    expect(world.questions[0]).toMatch(/1 paths change[\s\S]*rewrite notes\.txt/);
    expect(readFileSync(world.notes, 'utf8')).toBe('as it was\n');
    expect((await world.call('undo')).data).toMatchObject({ kind: 'undo' });
    expect(readFileSync(world.notes, 'utf8')).toBe('changed\n');
  });

  it.each([
    ['no', { action: 'accept', content: { confirm: false } }],
    ['nothing', { action: 'accept', content: {} }],
    ['decline', { action: 'decline' }],
    ['cancel', { action: 'cancel' }],
  ] as const)('changes nothing when the person says %s', async (_, answer) => {
    await using world = await connect(answer as ElicitResult);
    await world.workspace.snapshot();
    writeFileSync(world.notes, 'changed\n');
    const { text } = await world.call('rollback', { to: '@' });
    expect(text).toMatch(/\[NOT_PERMITTED\]|Invalid|confirm/);
    expect(readFileSync(world.notes, 'utf8')).toBe('changed\n');
  });

  it('does what the policy says, a tool at a time', async () => {
    await using world = await connect(null, {
      restore: 'allow',
      snapshot: 'deny',
      list: 'confirm',
    });
    rmSync(world.notes);
    const { data } = await world.call('restore', { from: '@', paths: ['notes.txt'] });
    expect(data).toMatchObject({ kind: 'restore', changes: 1 });
    expect(readFileSync(world.notes, 'utf8')).toBe('as it was\n');
    expect((await world.call('snapshot')).text).toContain('The policy denies');
    expect((await world.call('list')).text).toContain('[CONFIRMATION_NEEDED]');
  });

  it('answers a mistake with what to do', async () => {
    await using world = await connect(YES);
    expect((await world.call('diff', { from: 'no-such' })).text).toContain('ghostsnap log');
    expect((await world.call('rollback', { to: '@~99' })).text).toContain('error: ');
    expect((await world.call('restore', { from: '@', paths: ['../etc'] })).text).toContain(
      'PATH_OUT',
    );
    expect((await world.call('diff', { from: '@', extra: 1 })).text).toContain('extra');
    expect((await world.call('list', { limit: 0 })).text).toContain('limit');
  });

  it('reports progress to a client that wants it, and none to another', async () => {
    await using world = await connect(null, { rollback: 'allow' });
    await world.workspace.snapshot();
    for (let n = 0; n < 300; n += 1) writeFileSync(`${world.notes}.${n}`, 'x');
    const seen: number[] = [];
    await world.client.callTool({ name: 'rollback', arguments: { to: '@' } }, undefined, {
      onprogress: ({ progress }) => seen.push(progress),
    });
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });

  it('stops a call that the client cancels, and leaves the workspace free', async () => {
    await using world = await connect(null, { rollback: 'allow' });
    await world.workspace.snapshot();
    for (let n = 0; n < 300; n += 1) writeFileSync(`${world.notes}.${n}`, 'x');
    const controller = new AbortController();
    const call = world.client.callTool({ name: 'rollback', arguments: { to: '@' } }, undefined, {
      signal: controller.signal,
      onprogress: () => controller.abort('enough'),
    });
    await expect(call).rejects.toThrow('enough');
    expect((await world.call('snapshot')).data).toHaveProperty('id');
  });

  it('offers the log, snapshots and differences as resources, with completion', async () => {
    await using world = await connect(null);
    const { id } = await world.workspace.snapshot({ label: 'mine' });
    writeFileSync(world.notes, 'changed\n');
    const read = async (uri: string): Promise<unknown> => {
      const { contents } = await world.client.readResource({ uri });
      return JSON.parse((contents[0] as { text: string }).text);
    };
    expect(await read('ghostsnap://log')).toMatchObject({ snapshots: [{ id }, {}], calls: [] });
    expect(await read('ghostsnap://snapshot/mine')).toMatchObject({ id, label: 'mine' });
    expect(await read(`ghostsnap://diff/${id}/live`)).toMatchObject({ stats: { modified: 1 } });
    const { resources } = await world.client.listResources();
    expect(resources.map(({ name }) => name)).toEqual(['log', 'mine', 'init']);
    const { completion } = await world.client.complete({
      ref: { type: 'ref/resource', uri: 'ghostsnap://diff/{from}/{to}' },
      argument: { name: 'from', value: id.slice(0, -1) },
    });
    expect(completion.values).toEqual([id]);
    await expect(read('ghostsnap://snapshot/none')).rejects.toThrow('none');
  });
});
