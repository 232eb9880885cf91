/**
 * A model endpoint on loopback that speaks the Messages API and follows a script: each turn of the main
 * conversation gets the next entry, everything else (titles, summaries) gets a word.
 */
import { once } from 'node:events';
import http from 'node:http';

export type ScriptedTurn =
  | { readonly text: string }
  | { readonly id: string; readonly name: string; readonly input: unknown };

export interface ScriptedApi extends AsyncDisposable {
  readonly url: string;
  /** Bodies of the requests that had tools, as text. */
  readonly requests: readonly string[];
}

export async function scriptedMessagesApi(turns: readonly ScriptedTurn[]): Promise<ScriptedApi> {
  const left = [...turns];
  const requests: string[] = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      if (request.method !== 'POST' || !request.url?.startsWith('/v1/messages')) {
        response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
        return;
      }
      const { tools, stream } = JSON.parse(body) as { tools?: unknown[]; stream?: boolean };
      const isMain = (tools ?? []).length > 0;
      if (isMain) requests.push(body);
      const turn = (isMain ? left.shift() : undefined) ?? { text: 'done' };
      if (stream === true) sendEvents(response, turn);
      else sendJson(response, turn);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const usage = { input_tokens: 1, output_tokens: 1 };

function head(turn: ScriptedTurn): Record<string, unknown> {
  const stop_reason = 'text' in turn ? 'end_turn' : 'tool_use';
  return { id: 'msg_1', type: 'message', role: 'assistant', model: 'scripted', stop_reason, usage };
}

function sendJson(response: http.ServerResponse, turn: ScriptedTurn): void {
  const content = [
    'text' in turn ? { type: 'text', text: turn.text } : { type: 'tool_use', ...turn },
  ];
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ ...head(turn), stop_sequence: null, content }));
}

function sendEvents(response: http.ServerResponse, turn: ScriptedTurn): void {
  const isText = 'text' in turn;
  const block = isText
    ? { type: 'text', text: '' }
    : { type: 'tool_use', id: turn.id, name: turn.name, input: {} };
  const delta = isText
    ? { type: 'text_delta', text: turn.text }
    : { type: 'input_json_delta', partial_json: JSON.stringify(turn.input) };
  const { stop_reason, ...message } = head(turn);
  const events = [
    { type: 'message_start', message: { ...message, content: [], stop_reason: null } },
    { type: 'content_block_start', index: 0, content_block: block },
    { type: 'content_block_delta', index: 0, delta },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage },
    { type: 'message_stop' },
  ];
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of events) {
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  }
  response.end();
}
