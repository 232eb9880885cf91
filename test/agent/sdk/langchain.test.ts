/** LangChain's own tools and messages; the model is a script of messages with tool calls. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BaseChatModel } from '@langchain/core/language_models/chat_models';
import { AIMessage, HumanMessage, type ToolMessage } from '@langchain/core/messages';
import type { ChatResult } from '@langchain/core/outputs';
import { StructuredTool, tool } from '@langchain/core/tools';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { protectTools } from '../../../src/agent/sdk/langchain.ts';
import { openStore } from '../open-store.ts';

const writer = (path: string) =>
  tool(
    ({ text }) => {
      writeFileSync(join(path, 'notes.txt'), text);
      return ['written', { bytes: text.length }];
    },
    {
      name: 'write',
      description: 'writes a file',
      schema: z.object({ text: z.string() }),
      responseFormat: 'content_and_artifact',
    },
  );

class Wipe extends StructuredTool {
  readonly name = 'wipe';
  readonly description = 'deletes a file';
  readonly schema = z.object({});
  readonly #path: string;

  constructor(path: string) {
    super();
    this.#path = path;
  }

  protected override async _call(): Promise<string> {
    rmSync(join(this.#path, 'notes.txt'));
    throw new Error('half done');
  }
}

class ScriptedModel extends BaseChatModel {
  readonly #said: AIMessage;

  constructor(said: AIMessage) {
    super({});
    this.#said = said;
  }

  _llmType(): string {
    return 'scripted';
  }

  async _generate(): Promise<ChatResult> {
    return { generations: [{ text: '', message: this.#said }] };
  }
}

it('takes a snapshot before each tool that a model calls, and the handle takes calls back', async () => {
  await using store = await openStore();
  const { workspace, path } = store;
  const { tools, handle } = protectTools([writer(path), new Wipe(path)], { workspace });
  expect(tools[1]).toBeInstanceOf(Wipe);
  const said = new AIMessage({
    content: '',
    tool_calls: [
      { id: 'c1', name: 'write', args: { text: 'one' }, type: 'tool_call' },
      { id: 'c2', name: 'wipe', args: {}, type: 'tool_call' },
    ],
  });
  const answer = (await new ScriptedModel(said).invoke([new HumanMessage('x')])) as AIMessage;
  const [write, wipe] = answer.tool_calls ?? [];
  const message = (await tools[0].invoke({
    ...write,
    type: 'tool_call',
  } as never)) as unknown as ToolMessage;
  expect([message.tool_call_id, message.content, message.artifact]).toEqual([
    'c1',
    'written',
    { bytes: 3 },
  ]);
  await expect(tools[1].invoke({ ...wipe, type: 'tool_call' } as never)).rejects.toThrow(
    'half done',
  );
  expect(handle.calls().map(({ key, outcome }) => [key, outcome])).toEqual([
    ['c2', 'failed'],
    ['c1', 'ok'],
  ]);
  await handle.undo('c2');
  expect(readFileSync(join(path, 'notes.txt'), 'utf8')).toBe('one');
  await handle.undo('c1');
  expect(readFileSync(join(path, 'notes.txt'), 'utf8')).toBe('as it was\n');
  await handle.close();
});

it('takes no snapshot for input that the schema refuses, and does not run without one', async () => {
  await using store = await openStore();
  const { tools, handle } = protectTools([writer(store.path)], { workspace: store.workspace });
  await using _handle = handle;
  await expect(tools[0].invoke({ text: 1 } as never)).rejects.toThrow('schema');
  expect(handle.calls()).toEqual([]);
  rmSync(store.path, { recursive: true });
  await expect(tools[0].invoke({ text: 'x' })).rejects.toMatchObject({ code: 'WORKSPACE_GONE' });
});

it('leaves what is no structured tool alone', async () => {
  await using store = await openStore();
  const hosted = { type: 'web_search', name: 'search' };
  const { tools, handle } = protectTools([hosted], { workspace: store.workspace });
  expect(tools[0]).toBe(hosted);
  await handle.close();
});
