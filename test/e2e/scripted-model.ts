/**
 * A model on loopback that says what a script says, in the words of Gemini's API, of OpenAI's two and of Anthropic's.
 *
 * A request holds the whole conversation, so what comes next follows from how many turns the model has
 * had: no state, whatever the harness retries. A conversation of a subagent is known by a word in it.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ToolRequest {
  readonly tool: string;
  /** Text: for a tool that takes no JSON. */
  readonly input: Readonly<Record<string, unknown>> | string;
}

/** Turn by turn, the tools that are asked for at once; after the last one the model says "done". */
export type Script = readonly (readonly ToolRequest[])[];

export interface ScriptedModel extends AsyncDisposable {
  readonly url: string;
}

export interface Scripts {
  readonly main: Script;
  readonly subagent: Script;
  /** In a subagent's conversation and in no other. */
  readonly subagentWord: string;
}

type Json = Record<string, unknown>;

/** `POST .../models/NAME:generateContent` and `:streamGenerateContent`. */
export function startGemini(scripts: Scripts): Promise<ScriptedModel> {
  return start((request, url) => {
    const contents = (request.contents ?? []) as readonly Json[];
    const turn = contents.filter(({ role }) => role === 'model').length;
    const first = JSON.stringify(contents.filter(({ role }) => role === 'user').slice(0, 2));
    const calls = request.tools === undefined ? [] : callsOf(scripts, first, turn);
    const parts =
      calls.length === 0
        ? [{ text: 'done' }]
        : calls.map(({ tool, input }) => ({ functionCall: { name: tool, args: input } }));
    const answer = {
      candidates: [{ index: 0, finishReason: 'STOP', content: { role: 'model', parts } }],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
    };
    return url.includes('stream') ? [answer] : answer;
  });
}

/** `POST /v1/chat/completions`, streamed or not. */
export function startOpenAi(scripts: Scripts): Promise<ScriptedModel> {
  return start((request) => {
    const messages = (request.messages ?? []) as readonly Json[];
    const turn = messages.filter(({ role }) => role === 'assistant').length;
    const first = JSON.stringify(messages.find(({ role }) => role === 'user') ?? null);
    const isChat = Array.isArray(request.tools) && request.tools.length > 0;
    const calls = isChat ? callsOf(scripts, first, turn) : [];
    const toolCalls = calls.map(({ tool, input }, index) => ({
      ...{ index, id: `call_${turn}_${index}`, type: 'function' },
      function: { name: tool, arguments: JSON.stringify(input) },
    }));
    const said =
      calls.length === 0
        ? { role: 'assistant', content: 'done' }
        : { role: 'assistant', content: null, tool_calls: toolCalls };
    const reason = calls.length === 0 ? 'stop' : 'tool_calls';
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    const head = { id: 'x', created: 1, model: 'scripted' };
    if (request.stream !== true) {
      return { ...head, usage, choices: [{ index: 0, message: said, finish_reason: reason }] };
    }
    return [
      { ...head, choices: [{ index: 0, delta: said, finish_reason: null }] },
      { ...head, usage, choices: [{ index: 0, delta: {}, finish_reason: reason }] },
      '[DONE]',
    ];
  });
}

/** `POST /v1/messages`, streamed or not. */
export function startAnthropic(scripts: Scripts): Promise<ScriptedModel> {
  return start((request) => {
    const messages = (request.messages ?? []) as readonly Json[];
    const turn = messages.filter(({ role }) => role === 'assistant').length;
    const first = JSON.stringify(messages.find(({ role }) => role === 'user') ?? null);
    const isChat = Array.isArray(request.tools) && request.tools.length > 0;
    const calls = isChat ? callsOf(scripts, first, turn) : [];
    const blocks =
      calls.length === 0
        ? [{ type: 'text', text: 'done' }]
        : calls.map(({ tool, input }, index) => ({
            ...{
              type: 'tool_use',
              id: `toolu_${first.length}_${turn}_${index}`,
              name: tool,
              input,
            },
          }));
    const stop_reason = calls.length === 0 ? 'end_turn' : 'tool_use';
    const usage = { input_tokens: 1, output_tokens: 1 };
    // Messages with one id are one message to Claude Code.
    const id = `msg_${first.length}_${turn}`;
    const head = { id, type: 'message', role: 'assistant', model: 'scripted', usage };
    if (request.stream !== true) {
      return { ...head, content: blocks, stop_reason, stop_sequence: null };
    }
    return [
      { type: 'message_start', message: { ...head, content: [], stop_reason: null } },
      ...blocks.flatMap((block, index) => blockEvents(block, index)),
      { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage },
      { type: 'message_stop' },
    ];
  });
}

/** `POST /v1/responses`, streamed. A tool of a group is named `GROUP.TOOL`. */
export function startResponses(scripts: Scripts): Promise<ScriptedModel> {
  return start((request) => {
    const input = (request.input ?? []) as readonly Json[];
    const done = input.filter(({ type }) => String(type).endsWith('_call_output')).length;
    // What was said, and not what tools were asked for: the word is in the call that starts a subagent.
    const told = JSON.stringify(input.filter(({ type }) => String(type).endsWith('message')));
    const script = scriptOf(scripts, told);
    const calls = script[turnAfter(script, done)] ?? [];
    const id = `${told.length}_${done}`;
    const items = calls.map((call, index) => responseCall(call, `call_${id}_${index}`));
    const said = {
      ...{ type: 'message', role: 'assistant', id: 'msg_1', status: 'completed' },
      content: [{ type: 'output_text', text: 'done', annotations: [] }],
    };
    const usage = {
      ...{ input_tokens: 1, input_tokens_details: null, output_tokens: 1 },
      ...{ output_tokens_details: null, total_tokens: 2 },
    };
    return [
      { type: 'response.created', response: { id } },
      ...(items.length === 0 ? [said] : items).map((item, output_index) => ({
        ...{ type: 'response.output_item.done', output_index, item },
      })),
      { type: 'response.completed', response: { id, usage } },
    ];
  });
}

function responseCall({ tool, input }: ToolRequest, callId: string): Json {
  const call = { call_id: callId, id: `i_${callId}`, status: 'completed' };
  if (typeof input === 'string') return { type: 'custom_tool_call', name: tool, input, ...call };
  const [name, group] = tool.split('.').toReversed();
  const place = group === undefined ? { name } : { name, namespace: group };
  return { type: 'function_call', ...place, arguments: JSON.stringify(input), ...call };
}

/** The conversation holds results, not turns. */
function turnAfter(script: Script, done: number): number {
  let left = done;
  const turn = script.findIndex((calls) => {
    left -= calls.length;
    return left < 0;
  });
  return turn < 0 ? script.length : turn;
}

function blockEvents(block: Json, index: number): readonly Json[] {
  const isText = block.type === 'text';
  const empty = isText ? { ...block, text: '' } : { ...block, input: {} };
  const delta = isText
    ? { type: 'text_delta', text: block.text }
    : { type: 'input_json_delta', partial_json: JSON.stringify(block.input) };
  return [
    { type: 'content_block_start', index, content_block: empty },
    { type: 'content_block_delta', index, delta },
    { type: 'content_block_stop', index },
  ];
}

function callsOf(scripts: Scripts, first: string, turn: number): readonly ToolRequest[] {
  return scriptOf(scripts, first)[turn] ?? [];
}

function scriptOf(scripts: Scripts, first: string): Script {
  return first.includes(scripts.subagentWord) ? scripts.subagent : scripts.main;
}

/** @param answer a list is sent as server-sent events */
async function start(answer: (request: Json, url: string) => unknown): Promise<ScriptedModel> {
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const said = answer(text === '' ? {} : (JSON.parse(text) as Json), request.url ?? '');
    if (!Array.isArray(said)) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said));
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of said) {
      const type = (event as { readonly type?: string }).type;
      if (type !== undefined) response.write(`event: ${type}\n`);
      response.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`);
    }
    response.end();
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
}
