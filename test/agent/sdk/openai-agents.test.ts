/** The OpenAI Agents SDK itself, with a scripted model. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Agent,
  applyPatchTool,
  type Model,
  type ModelRequest,
  type ModelResponse,
  Runner,
  setTracingDisabled,
  shellTool,
  tool,
  Usage,
} from '@openai/agents';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { protectTools } from '../../../src/agent/sdk/openai-agents.ts';
import { openStore } from '../open-store.ts';

setTracingDisabled(true);

class ScriptedModel implements Model {
  readonly requests: ModelRequest[] = [];
  readonly #outputs: ModelResponse['output'][];

  constructor(...outputs: ModelResponse['output'][]) {
    this.#outputs = outputs;
  }

  async getResponse(request: ModelRequest): Promise<ModelResponse> {
    this.requests.push(request);
    const done: ModelResponse['output'] = [
      {
        type: 'message',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'done' }],
      },
    ];
    return { usage: new Usage(), output: this.#outputs.shift() ?? done };
  }

  getStreamedResponse(): never {
    throw new Error('This model does not stream.');
  }
}

const call = (callId: string, name: string, input: unknown): ModelResponse['output'] => [
  { type: 'function_call', callId, name, status: 'completed', arguments: JSON.stringify(input) },
];

const writer = (path: string) =>
  tool({
    name: 'write',
    description: 'writes a file',
    parameters: z.object({ text: z.string() }),
    execute: ({ text }) => {
      writeFileSync(join(path, 'notes.txt'), text);
      return 'written';
    },
  });

it('takes a snapshot before each function tool, and the handle takes calls back', async () => {
  await using store = await openStore();
  const { tools, handle } = protectTools([writer(store.path)], { workspace: store.workspace });
  const model = new ScriptedModel(
    call('c1', 'write', { text: '1' }),
    call('c2', 'write', { text: '2' }),
  );
  const result = await new Runner().run(new Agent({ name: 'a', model, tools: [...tools] }), 'x');
  expect(result.finalOutput).toBe('done');
  expect(JSON.stringify(model.requests.at(-1)?.input)).toContain('written');
  const calls = handle.calls().map(({ key, tool: name, outcome }) => [key, name, outcome]);
  expect(calls).toEqual([
    ['c2', 'write', 'ok'],
    ['c1', 'write', 'ok'],
  ]);
  await handle.undo('c2');
  expect(readFileSync(join(store.path, 'notes.txt'), 'utf8')).toBe('1');
  await handle.undo('c1');
  expect(readFileSync(join(store.path, 'notes.txt'), 'utf8')).toBe('as it was\n');
  await handle.close();
});

it('does not run a tool whose snapshot fails, and tells the model why', async () => {
  await using store = await openStore();
  const { tools, handle } = protectTools([writer(store.path)], { workspace: store.workspace });
  await using _handle = handle;
  const model = new ScriptedModel(call('c1', 'write', { text: '1' }));
  rmSync(store.path, { recursive: true });
  await new Runner().run(new Agent({ name: 'a', model, tools: [...tools] }), 'x');
  expect(JSON.stringify(model.requests.at(-1)?.input)).toContain('WORKSPACE_GONE');
});

it('protects a local shell and a patch editor', async () => {
  await using store = await openStore();
  const notes = join(store.path, 'notes.txt');
  const shell = shellTool({
    shell: {
      run: async ({ commands }) => {
        writeFileSync(notes, commands.join());
        return { output: [{ stdout: '', stderr: '', outcome: { type: 'exit', exitCode: 0 } }] };
      },
    },
  });
  const remove = async (): Promise<void> => rmSync(notes);
  const patch = applyPatchTool({
    editor: { createFile: remove, updateFile: remove, deleteFile: remove },
  });
  const { tools, handle } = protectTools([shell, patch], { workspace: store.workspace });
  const model = new ScriptedModel(
    [{ type: 'shell_call', callId: 's1', status: 'completed', action: { commands: ['echo'] } }],
    [
      {
        ...{ type: 'apply_patch_call', callId: 'p1', status: 'completed' },
        operation: { type: 'delete_file' as const, path: 'notes.txt' },
      },
    ],
  );
  await new Runner().run(new Agent({ name: 'a', model, tools: [...tools] }), 'x');
  const [edit, run] = handle.calls();
  expect([edit?.tool, run?.tool]).toEqual(['apply_patch', 'shell']);
  await handle.rollback(edit?.snapshot ?? '');
  expect(readFileSync(notes, 'utf8')).toBe('echo');
  await handle.rollback(run?.snapshot ?? '');
  expect(readFileSync(notes, 'utf8')).toBe('as it was\n');
  await handle.close();
});
