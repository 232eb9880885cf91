/** What the policy says of a call reaches the model by each SDK's own result; the tools are the SDKs' own. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tool as chainTool } from '@langchain/core/tools';
import { tool as openaiTool, RunContext, shellTool } from '@openai/agents';
import { tool as aiTool } from 'ai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import * as ai from '../../../src/agent/sdk/ai.ts';
import * as claude from '../../../src/agent/sdk/claude-agent-sdk.ts';
import * as chain from '../../../src/agent/sdk/langchain.ts';
import * as openai from '../../../src/agent/sdk/openai-agents.ts';
import { withMessage } from '../../../src/agent/sdk/told-result.ts';
import { GhostsnapError } from '../../../src/core/errors.ts';
import { type OpenStore, openStore } from '../open-store.ts';

let store: OpenStore;
let notes: string;

beforeEach(async () => {
  store = await openStore();
  notes = join(store.path, 'notes.txt');
  rule({ rule: 'deleted-files', max: 0, action: 'warn' });
});

afterEach(() => store[Symbol.asyncDispose]());

function rule(...rules: readonly object[]): void {
  writeFileSync(join(store.path, 'ghostsnap.json'), JSON.stringify({ policy: { rules } }));
}

const wipe = (): void => rmSync(notes);
/** Deletes the file, and gives the result. */
function wiped<T>(result: T): T {
  wipe();
  return result;
}

interface LocalShell {
  readonly shell: { readonly run: (action: object) => Promise<unknown> };
}

const name = 'wipe';
const description = 'deletes a file';
const inputSchema = z.object({ command: z.string().optional() });
const FOUND = 'It deleted 1 file';

describe('a call that the policy objects to', () => {
  it('ai: the text of the result, or a field of it', async () => {
    const text = { inputSchema, execute: () => wiped('done') };
    const object = { inputSchema, execute: async () => wiped({ ok: true }) };
    async function* parts() {
      yield 'half';
      wipe();
      yield 'done';
    }
    const given = {
      text: aiTool(text),
      object: aiTool(object),
      parts: aiTool({ inputSchema, execute: parts }),
    };
    const { tools } = ai.protectTools(given, { workspace: store.workspace });
    const options = { toolCallId: 'c', messages: [], context: {} };
    expect(await tools.text.execute?.({}, options as never)).toMatch(`done\n\nghostsnap:`);
    writeFileSync(notes, 'again');
    expect(await tools.object.execute?.({}, options as never)).toMatchObject({
      ...{ ok: true, ghostsnap: expect.stringContaining(FOUND) },
    });
    writeFileSync(notes, 'again');
    const seen: unknown[] = [];
    const values = tools.parts.execute?.({}, options as never) as AsyncIterable<unknown>;
    for await (const value of values) seen.push(value);
    expect(seen).toEqual(['half', 'done', expect.stringContaining(FOUND)]);
  });

  it('langchain: the message, and not the artifact', async () => {
    const made = chainTool(() => wiped(['done', { bytes: 1 }]), {
      ...{ name, description, schema: inputSchema, responseFormat: 'content_and_artifact' },
    });
    const { tools } = chain.protectTools([made], { workspace: store.workspace });
    const message = await tools[0].invoke({ ...{ type: 'tool_call', id: 'c', name }, args: {} });
    expect(message).toMatchObject({
      content: expect.stringContaining(FOUND),
      artifact: { bytes: 1 },
    });
  });

  it('openai-agents: the text of the result', async () => {
    const parameters = z.object({});
    const made = openaiTool({ name, description, parameters, execute: () => wiped('done') });
    const { tools } = openai.protectTools([made], { workspace: store.workspace });
    expect(await tools[0].invoke(new RunContext(), '{}')).toContain(FOUND);
  });

  it('claude-agent-sdk: the context beside the result, and a dialog before the call', async () => {
    rule(
      { rule: 'deleted-files', max: 0, action: 'rollback' },
      { rule: 'destructive-commands', action: 'ask' },
    );
    const { options } = claude.protectOptions({}, { workspace: store.workspace });
    type Hook = (input: object, id: string, on: object) => Promise<Record<string, unknown>>;
    const { hooks } = options as { hooks: Record<string, { hooks: Hook[] }[]> };
    const fire = async (event: string, command: string): Promise<Record<string, unknown>> => {
      const input = { hook_event_name: event, tool_name: 'Bash', tool_input: { command } };
      return (await hooks[event]?.[0]?.hooks[0]?.({ ...input, tool_use_id: 't' }, 't', {})) ?? {};
    };
    expect(await fire('PreToolUse', 'make clean')).toEqual({});
    wipe();
    const reply = await fire('PostToolUse', 'make clean');
    expect(reply).toMatchObject({
      hookSpecificOutput: { additionalContext: expect.stringContaining('was put back') },
    });
    expect(existsSync(notes)).toBe(true);
    await fire('PreToolUse', 'make clean');
    wipe();
    expect(await fire('PostToolUseFailure', 'make clean')).toMatchObject({
      hookSpecificOutput: { additionalContext: expect.stringContaining('was put back') },
    });
    expect(await fire('PreToolUse', 'rm -rf src')).toMatchObject({
      hookSpecificOutput: { permissionDecision: 'ask' },
    });
  });

  it("is told in the message of an error, whose cause is the tool's own", async () => {
    const thrown = new RangeError('half done');
    const failing = (): never => {
      wipe();
      throw thrown;
    };
    async function* parts(): AsyncGenerator<string> {
      yield 'half';
      failing();
    }
    const schema = z.object({});
    const { workspace } = store;
    const { tools: ofAi } = ai.protectTools(
      {
        plain: aiTool({ inputSchema: schema, execute: async (): Promise<string> => failing() }),
        parts: aiTool({ inputSchema: schema, execute: parts }),
      },
      { workspace },
    );
    const { tools: ofChain } = chain.protectTools(
      [chainTool(failing, { name, description, schema })],
      { workspace },
    );
    const { tools: ofOpenai } = openai.protectTools(
      [
        openaiTool({
          ...{ name, description, parameters: schema, execute: async () => failing() },
          errorFunction: null,
        }),
        shellTool({ shell: { run: async () => failing() } }),
      ],
      { workspace },
    );
    const [inOpenai, shell] = ofOpenai;
    const on = { toolCallId: 'c', messages: [], context: {} } as never;
    const ways: readonly (() => Promise<unknown>)[] = [
      async () => await ofAi.plain.execute?.({}, on),
      async () => {
        const values = ofAi.parts.execute?.({}, on);
        for await (const _part of values as AsyncIterable<unknown>);
      },
      () => ofChain[0].invoke({}),
      () => inOpenai.invoke(new RunContext(), '{}'),
      async () => await (shell as unknown as LocalShell).shell.run({ commands: ['x'] }),
    ];
    for (const way of ways) {
      writeFileSync(notes, 'again');
      const error = await way().then(
        () => null,
        (failure: unknown) => failure as Error,
      );
      expect(error?.message).toMatch(/^half done\n\nghostsnap: [\s\S]*It deleted 1 file/);
      expect([error?.name, error?.cause]).toEqual(['RangeError', thrown]);
    }
    expect(workspace.listCalls().map(({ outcome }) => outcome)).toEqual(ways.map(() => 'failed'));
  });

  it.each([
    ['the end of a run', Object.assign(new Error('stopped'), { name: 'AbortError' })],
    ['an interrupt of LangGraph', Object.assign(new Error('[]'), { is_bubble_up: true })],
  ])('leaves %s the error that it is, and tells the program', async (_, thrown) => {
    const told: string[] = [];
    const options = {
      workspace: store.workspace,
      onProblem: (text: string) => void told.push(text),
    };
    const failing = chainTool(
      () => {
        wipe();
        throw thrown;
      },
      { name, description, schema: z.object({}) },
    );
    const { tools } = chain.protectTools([failing], options);
    await expect(tools[0].invoke({})).rejects.toBe(thrown);
    expect(told).toEqual([expect.stringContaining(FOUND)]);
  });

  it('does not run what a person has to be asked about where nobody can be', async () => {
    rule({ rule: 'destructive-commands', action: 'ask' });
    let ran = 0;
    const made = aiTool({ inputSchema, execute: () => (ran += 1) });
    const { tools, handle } = ai.protectTools({ bash: made }, { workspace: store.workspace });
    const run = (command: string): unknown =>
      tools.bash.execute?.({ command }, { toolCallId: 'c', messages: [] } as never);
    await expect(run('git reset --hard')).rejects.toThrow(/asks the person[\s\S]*was not run/);
    expect(ran).toBe(0);
    expect(handle.calls()[0]).toMatchObject({ outcome: 'blocked' });
    await run('git status');
    expect(ran).toBe(1);
  });
});

it.each([
  ['text', 'text\n\nM'],
  [{ a: 1 }, { a: 1, ghostsnap: 'M' }],
  [
    [{ type: 'text', text: 'a' }],
    [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'M' },
    ],
  ],
  [[1, 2], null],
  [7, null],
  [undefined, null],
  [{ ghostsnap: 'own' }, null],
  [new Map(), null],
])('withMessage() of %j', (result, expected) => {
  expect(withMessage<unknown>(result, 'M')).toEqual(expected);
});

it('runs a call whose policy cannot be asked, and says so', async () => {
  const told: string[] = [];
  const broken = Object.create(store.workspace, {
    adviseCall: { value: () => Promise.reject(new GhostsnapError('BAD_CONFIG', 'It is wrong.')) },
  });
  const options = { workspace: broken, onProblem: (text: string) => void told.push(text) };
  const made = aiTool({ inputSchema, execute: () => 'ran' });
  const { tools } = ai.protectTools({ bash: made }, options);
  const on = { toolCallId: 'c', messages: [] } as never;
  expect(await tools.bash.execute?.({ command: 'rm -rf src' }, on)).toBe('ran');
  expect(told).toContain('It is wrong.');
});
