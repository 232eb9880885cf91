/** The Vercel AI SDK itself, with its own test model. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateText, isStepCount, type ToolSet, tool } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { protectTools } from '../../../src/agent/sdk/ai.ts';
import { openStore } from '../open-store.ts';

type Generated = Awaited<ReturnType<MockLanguageModelV4['doGenerate']>>;

const usage: Generated['usage'] = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};

type Call = readonly [id: string, tool: string, input: object];

/** Calls the tools, all in one step, then says "done". */
function scripted(...calls: readonly Call[]): MockLanguageModelV4 {
  let step = 0;
  return new MockLanguageModelV4({
    doGenerate: async (): Promise<Generated> => {
      step += 1;
      if (step > 1) {
        const finishReason = { unified: 'stop', raw: undefined } as const;
        return { content: [{ type: 'text', text: 'done' }], finishReason, usage, warnings: [] };
      }
      return {
        content: calls.map(([toolCallId, toolName, input]) => ({
          ...{ type: 'tool-call' as const, toolCallId, toolName, input: JSON.stringify(input) },
        })),
        finishReason: { unified: 'tool-calls', raw: undefined },
        ...{ usage, warnings: [] },
      };
    },
  });
}

function fileTools(path: string): ToolSet {
  return {
    write: tool({
      description: 'writes a file',
      inputSchema: z.object({ text: z.string() }),
      execute: ({ text }) => {
        writeFileSync(join(path, 'notes.txt'), text);
        return 'written';
      },
    }),
    wipe: tool({
      description: 'deletes a file',
      inputSchema: z.object({}),
      execute: async (): Promise<string> => {
        rmSync(join(path, 'notes.txt'));
        throw new Error('half done');
      },
    }),
    look: tool({
      description: 'reads a file',
      inputSchema: z.object({}),
      execute: () => readFileSync(join(path, 'notes.txt'), 'utf8'),
    }),
  };
}

it('takes a snapshot before each tool, and the handle takes calls back', async () => {
  await using store = await openStore();
  const notes = join(store.path, 'notes.txt');
  const { workspace } = store;
  const given = fileTools(store.path);
  const { tools, handle } = protectTools(given, { workspace, readOnly: ['look'] });
  const ask = async (...calls: readonly Call[]): Promise<string> =>
    (
      await generateText({
        model: scripted(...calls),
        tools,
        prompt: 'x',
        stopWhen: isStepCount(3),
      })
    ).text;
  expect(await ask(['c1', 'write', { text: 'one\n' }])).toBe('done');
  expect(await ask(['c2', 'look', {}])).toBe('done');
  await ask(['c3', 'wipe', {}]);
  await ask(['c4', 'write', { text: 'four\n' }]);
  const calls = handle.calls().map(({ key, outcome, readOnly }) => [key, outcome, readOnly]);
  expect(calls).toEqual([
    ['c4', 'ok', false],
    ['c3', 'failed', false],
    ['c2', 'ok', true],
    ['c1', 'ok', false],
  ]);
  await handle.undo('c4');
  expect(() => readFileSync(notes)).toThrow('ENOENT');
  await handle.undo('c3');
  expect(readFileSync(notes, 'utf8')).toBe('one\n');
  await expect(handle.undo('c2')).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
  await expect(handle.undo('c9')).rejects.toMatchObject({ code: 'CALL_NOT_FOUND' });
  await handle.undo('c1');
  expect(readFileSync(notes, 'utf8')).toBe('as it was\n');
  await workspace.undo();
  expect(readFileSync(notes, 'utf8')).toBe('one\n');
  await handle.close();
});

it('does not run a tool whose snapshot fails, and tells the model why', async () => {
  await using store = await openStore();
  const { tools, handle } = protectTools(fileTools(store.path), { workspace: store.workspace });
  await using _handle = handle;
  const model = scripted(['c1', 'write', { text: 'one\n' }]);
  rmSync(store.path, { recursive: true });
  await generateText({ model, tools, prompt: 'x', stopWhen: isStepCount(3) });
  expect(JSON.stringify(model.doGenerateCalls[1]?.prompt)).toContain('WORKSPACE_GONE');
  expect(() => readFileSync(join(store.path, 'notes.txt'))).toThrow('ENOENT');
});

it('tells the model what the policy says of a tool that threw, and the program its own error', async () => {
  await using store = await openStore();
  const rules = [{ rule: 'deleted-files', max: 0, action: 'warn' }];
  writeFileSync(join(store.path, 'ghostsnap.json'), JSON.stringify({ policy: { rules } }));
  const { tools, handle } = protectTools(fileTools(store.path), { workspace: store.workspace });
  await using _handle = handle;
  const model = scripted(['c1', 'wipe', {}]);
  const { steps } = await generateText({ model, tools, prompt: 'x', stopWhen: isStepCount(3) });
  const read = JSON.stringify(model.doGenerateCalls[1]?.prompt);
  expect(read).toContain('half done');
  expect(read).toContain('It deleted 1 file');
  const failed = steps[0]?.content.find(({ type }) => type === 'tool-error');
  expect(failed).toMatchObject({ error: { cause: { message: 'half done' } } });
});

it('gives parallel calls a snapshot each, and says that they overlap', async () => {
  await using store = await openStore();
  const { tools, handle } = protectTools(fileTools(store.path), { workspace: store.workspace });
  await using _handle = handle;
  const model = scripted(['c1', 'write', { text: '1' }], ['c2', 'write', { text: '2' }]);
  await generateText({ model, tools, prompt: 'x', stopWhen: isStepCount(3) });
  const calls = handle.calls();
  expect(calls.map(({ key }) => key).sort()).toEqual(['c1', 'c2']);
  expect(new Set(calls.map(({ snapshot }) => snapshot)).size).toBe(2);
});

it('leaves tools that run elsewhere alone, and passes preliminary results of generators', async () => {
  await using store = await openStore();
  const outside = tool({ description: 'in the browser', inputSchema: z.object({}) });
  const counting = tool({
    description: 'counts',
    inputSchema: z.object({}),
    execute: async function* () {
      yield 1;
      writeFileSync(join(store.path, 'notes.txt'), 'counted\n');
      yield 2;
    },
  });
  const { tools, handle } = protectTools({ outside, counting }, { workspace: store.workspace });
  expect(tools.outside).toBe(outside);
  const options = { toolCallId: 'g1', messages: [], context: {} };
  const seen: unknown[] = [];
  const values = tools.counting.execute({}, options as never) as AsyncIterable<unknown>;
  for await (const value of values) seen.push(value);
  expect(seen).toEqual([1, 2]);
  await handle.undo('g1');
  expect(readFileSync(join(store.path, 'notes.txt'), 'utf8')).toBe('as it was\n');
  expect(handle.calls()[0]).toMatchObject({ key: 'g1', outcome: 'ok' });
  await handle.close();
});
