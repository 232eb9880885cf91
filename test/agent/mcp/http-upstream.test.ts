/** Streamable HTTP as odd servers speak it: a real HTTP server on loopback that follows a script. */
import { once } from 'node:events';
import http from 'node:http';
import { describe, expect, it } from 'vitest';
import { HttpUpstream } from '../../../src/agent/mcp/http-upstream.ts';

type Handler = (request: Got, response: http.ServerResponse) => void;

interface Got {
  readonly method: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

interface World extends AsyncDisposable {
  readonly upstream: HttpUpstream;
  readonly got: readonly Got[];
  readonly problems: readonly string[];
  send(text: string): Promise<void>;
  /** The next line that comes from the server. */
  line(): Promise<string>;
}

async function connect(handler: Handler): Promise<World> {
  const got: Got[] = [];
  const problems: string[] = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      const one = { method: request.method ?? '', headers: request.headers, body };
      got.push(one);
      handler(one, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const upstream = new HttpUpstream({
    url: new URL(`http://127.0.0.1:${port}/mcp`),
    headers: { authorization: 'Bearer secret' },
    onProblem: (text) => problems.push(text),
  });
  let held = '';
  upstream.output.setEncoding('utf8').on('data', (text: string) => {
    held += text;
  });
  const closed = once(upstream.output, 'close');
  return {
    ...{ upstream, got, problems },
    send: (text) => upstream.send(Buffer.from(`${text}\n`)),
    line: async () => {
      while (!held.includes('\n')) await once(upstream.output, 'data');
      const end = held.indexOf('\n');
      const line = held.slice(0, end);
      held = held.slice(end + 1);
      return line;
    },
    [Symbol.asyncDispose]: async () => {
      upstream.end();
      await closed;
      server.closeAllConnections();
      server.close();
    },
  };
}

const EVENTS = { 'content-type': 'text/event-stream' };
const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };

const initialize = '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}';
const initialized = '{"jsonrpc":"2.0","method":"notifications/initialized"}';

/** Answers `initialize`, and refuses the stream for what is said unasked. */
function orElse(handler: Handler): Handler {
  return (request, response) => {
    if (request.body.includes('"initialize"')) {
      response.writeHead(200, { ...JSON_TYPE, 'mcp-session-id': 's-1' });
      response.end('{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18"}}');
    } else if (request.method === 'GET' && request.headers['last-event-id'] === undefined) {
      response.writeHead(405).end();
    } else if (request.body.includes('notifications/')) response.writeHead(202).end();
    else handler(request, response);
  };
}

describe('HttpUpstream', () => {
  it('sends session, version and headers with what follows initialize, and ends the session', async () => {
    const world = await connect(orElse((_, response) => response.writeHead(200).end()));
    await world.send(initialize);
    expect(JSON.parse(await world.line())).toMatchObject({ id: 0 });
    await world.send(initialized);
    await world[Symbol.asyncDispose]();
    const [first, second] = world.got;
    expect(first?.headers['mcp-session-id']).toBeUndefined();
    expect(second?.headers).toMatchObject({
      ...{ 'mcp-session-id': 's-1', 'mcp-protocol-version': '2025-06-18' },
      authorization: 'Bearer secret',
    });
    expect(world.got.at(-1)?.method).toBe('DELETE');
  });

  it('passes what no parser keeps, both ways, and makes one line of a printed answer', async () => {
    const odd = '{"id":9007199254740993,"method":"x","y":1e999,"y":"\u2028"}';
    await using world = await connect((_, response) => {
      response.writeHead(200, JSON_TYPE);
      response.end('{\n  "id": 9007199254740993,\r\n  "result": {"a": 1e999, "a": "\\n"}\n}\n');
    });
    await world.send(odd);
    const line = await world.line();
    expect(world.got[0]?.body).toBe(odd);
    expect(line.replace(/ +/g, ' ').trim()).toBe(
      '{ "id": 9007199254740993, "result": {"a": 1e999, "a": "\\n"} }',
    );
  });

  it('reads events in any pieces, with comments, several data lines and other types', async () => {
    const text =
      '\ufeff: hello\r\ndata: {"method":"a",\r\ndata:"b":1}\r\n\r\nevent: ping\ndata: no\n\ndata:\n\ndata: {"id":1,"result":"\u00e9"}\n\n';
    await using world = await connect((_, response) => {
      response.writeHead(200, EVENTS);
      for (const byte of Buffer.from(text)) response.write(Buffer.from([byte]));
      response.end();
    });
    await world.send('{"id":1,"method":"x"}');
    expect(await world.line()).toBe('{"method":"a", "b":1}');
    expect(await world.line()).toBe('{"id":1,"result":"\u00e9"}');
  });

  it('takes a stream up again where it ended, until the answer has come', async () => {
    await using world = await connect(
      orElse(({ method, headers }, response) => {
        response.writeHead(200, EVENTS);
        if (method === 'POST') response.end('id: e-1\nretry: 1\ndata: {"method":"progress"}\n\n');
        else response.end(`data: {"id":7,"result":"after ${headers['last-event-id']}"}\n\n`);
      }),
    );
    await world.send('{"id":7,"method":"tools/call"}');
    expect(await world.line()).toBe('{"method":"progress"}');
    expect(await world.line()).toBe('{"id":7,"result":"after e-1"}');
  });

  it.each<[string, Handler, RegExp]>([
    ['refuses', (_, response) => response.writeHead(401).end('who are you'), /401.*who are you/],
    ['redirects', (_, response) => response.writeHead(302, { location: '/x' }).end(), /302/],
    ['accepts and says nothing', (_, response) => response.writeHead(202).end(), /no answer/],
    ['breaks off', (_, response) => response.destroy(), /socket hang up|ECONNRESET/],
    [
      'ends its stream early',
      (_, response) => response.writeHead(200, EVENTS).end(': nothing\n\n'),
      /stream ended/,
    ],
    [
      'answers somebody else',
      (_, response) => response.writeHead(200, JSON_TYPE).end('{"id":"x","result":1}'),
      /no answer to the request/,
    ],
  ])('answers a request itself when the server %s', async (_, handler, reason) => {
    await using world = await connect(handler);
    await world.send('{"jsonrpc":"2.0","id":9007199254740993,"method":"x"}');
    let line = await world.line();
    if (line.includes('"x","result"')) line = await world.line();
    expect(line).toContain('"id":9007199254740993,"error"');
    expect(line).toMatch(reason);
  });

  it('does not wait for an answer before it sends what follows', async () => {
    let pending: http.ServerResponse | null = null;
    await using world = await connect(({ body }, response) => {
      if (body.includes('"slow"')) pending = response;
      else {
        response.writeHead(202).end();
        pending?.writeHead(200, JSON_TYPE).end('{"id":1,"error":"cancelled"}');
      }
    });
    await world.send('{"id":1,"method":"slow"}');
    await world.send('{"method":"notifications/cancelled","params":{"requestId":1}}');
    expect(await world.line()).toBe('{"id":1,"error":"cancelled"}');
  });

  it('tells what could not be delivered where nobody waits for an answer', async () => {
    await using world = await connect((_, response) => response.writeHead(500).end('broken'));
    await world.send('{"method":"notifications/x"}');
    expect(world.problems.join()).toMatch(/500.*broken/);
  });
});
