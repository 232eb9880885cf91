import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { McpProxy } from '../../../src/agent/mcp/proxy.ts';
import { GhostsnapError } from '../../../src/core/errors.ts';
import { parseTraceContext } from '../../../src/core/trace-context.ts';
import { lines, runWorld } from './proxy-world.ts';

const call = (id: unknown, name: string, more = {}): unknown => ({
  ...{ jsonrpc: '2.0', id, method: 'tools/call' },
  params: { name, arguments: {}, ...more },
});

const failure = new GhostsnapError('POOL_FULL', 'The pool p is full.', { hint: 'Prune it.' });

describe('McpProxy', () => {
  it('answers with the very bytes of the id', async () => {
    const fromClient = lines('{"id":9007199254740993,"method":"tools/call","params":{"name":"x"}}');
    const { toClient } = await runWorld({ fromClient: [fromClient], fail: () => failure });
    expect(toClient.toString()).toBe(
      '{"jsonrpc":"2.0","id":9007199254740993,"result":{"content":[{"type":"text","text":"The tool was not run: ghostsnap could not take a snapshot before it. The pool p is full. [POOL_FULL] Prune it."}],"isError":true}}\n',
    );
  });

  it('refuses a batch as a whole when one of its calls has no snapshot', async () => {
    const batch = [call(1, 'ok'), { id: 2, method: 'ping' }, call(3, 'bad'), { method: 'note' }];
    const { toClient, toServer, ended } = await runWorld({
      fromClient: [lines(batch)],
      fail: ({ tool }) => (tool === 'bad' ? failure : null),
    });
    expect(toServer.length).toBe(0);
    const answers = JSON.parse(toClient.toString()) as Record<string, unknown>[];
    expect(answers.map(({ id, result, error }) => [id, typeof result, typeof error])).toEqual([
      [1, 'object', 'undefined'],
      [2, 'undefined', 'object'],
      [3, 'object', 'undefined'],
    ]);
    expect(ended).toEqual(['1 failed']);
  });

  it('drops a call without an id whose snapshot failed: nobody waits for an answer', async () => {
    const fromClient = [lines({ method: 'tools/call', params: { name: 'x' } }, { method: 'ping' })];
    const { toClient, toServer } = await runWorld({ fromClient, fail: () => failure });
    expect([toClient.toString(), toServer.toString()]).toEqual(['', '{"method":"ping"}\n']);
  });

  it.each([
    ['keys written as escapes', '{"\\u006dethod":"tools\\/call","params":{"name":"x"},"id":1}'],
    ['a second method', '{"method":"tools/call","method":"ping","id":1}'],
    ['a comment, for a lenient parser', '{/*x*/"method":"tools/call","id":1}'],
    ['a second message behind a carriage return', '{"method":"a"}\r{"method":"tools/call"}'],
    ['an element of an array in an array', '[{"method":"tools/call","id":1}]'],
  ])('takes a snapshot before a call in %s', async (_, line) => {
    const { begun, toServer } = await runWorld({ fromClient: [lines(line)] });
    expect(begun.length).toBe(1);
    expect(toServer.toString()).toBe(`${line}\n`);
  });

  it('tells the end of a call with how it ended', async () => {
    const fromClient = [lines(call(1, 'a'), call('x', 'b'), call(2, 'c'), call(3, 'd'))];
    const fromServer = [
      lines({ id: 'x', error: { code: 1, message: 'no' } }, { id: 1, result: {} }),
      lines([{ id: 2.0, result: { isError: true } }]),
    ];
    const { ended } = await runWorld({ fromClient, fromServer });
    expect(ended).toEqual(['"x" failed', '1 ok', '2 failed', '3 unknown']);
  });

  it('gives the input of a call to the guard, unless it is large', async () => {
    const small = call(1, 'a', { arguments: { command: 'ls' } });
    const large = call(2, 'b', { arguments: { content: 'x'.repeat(20_000) } });
    const { begun } = await runWorld({ fromClient: [lines(small, large)] });
    expect(begun.map(({ input }) => input)).toEqual([{ command: 'ls' }, null]);
  });

  it('keeps a traceparent that is there, and joins the trace of its environment', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const kept = call(1, 'a', { _meta: { traceparent, progressToken: 1 } });
    const { toServer } = await runWorld({
      fromClient: [lines(kept, call(2, 'b', { _meta: { progressToken: 2 } }))],
      trace: 'on',
    });
    const [first, second] = toServer.toString().split('\n');
    expect(first).toBe(JSON.stringify(kept));
    expect(second).toMatch(/"_meta":\{"traceparent":"00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]","progr/);
  });

  it('passes on the state and the baggage of its own trace, and not over what is there', async () => {
    const traceParent = parseTraceContext({
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'vendor=1',
      baggage: 'tenant=a%22b',
    });
    const own = call(2, 'b', { _meta: { baggage: 'mine=1' } });
    const { toServer } = await runWorld({
      fromClient: [lines(call(1, 'a', {}), own)],
      ...{ trace: 'on', traceParent },
    });
    const [first, second] = toServer
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).params._meta);
    const traceparent = expect.stringMatching(/^00-0af7651916cd43dd8448eb211c80319c-/);
    expect(first).toEqual({ traceparent, tracestate: 'vendor=1', baggage: 'tenant=a%22b' });
    expect(second).toEqual({ traceparent, tracestate: 'vendor=1', baggage: 'mine=1' });
  });

  it('answers a message over the bound, forgets it, and goes on', async () => {
    const long = lines({ id: 1, method: 'x', params: 'y'.repeat(200) });
    const { toClient, toServer } = await runWorld({
      fromClient: [long.subarray(0, 100), long.subarray(100), lines({ id: 2, method: 'ping' })],
      messageBytesMax: 150,
    });
    expect(JSON.parse(toClient.toString())).toMatchObject({
      id: null,
      error: { data: { code: 'LIMIT_EXCEEDED' } },
    });
    expect(toServer.toString()).toBe('{"id":2,"method":"ping"}\n');
  });

  it('puts an answer of its own between the lines of the server, never into one', async () => {
    const written: string[] = [];
    const clientSaid = Promise.withResolvers<void>();
    const halfWritten = Promise.withResolvers<void>();
    const proxy = new McpProxy({
      client: {
        input: (async function* () {
          await halfWritten.promise;
          yield lines(call(1, 'x'), { method: 'after' });
        })(),
        output: new Writable({
          write: (chunk: Buffer, _, done) => {
            written.push(chunk.toString());
            halfWritten.resolve();
            done();
          },
        }),
      },
      upstream: {
        send: async () => clientSaid.resolve(),
        end: () => clientSaid.resolve(),
        output: (async function* () {
          yield Buffer.from('{"half":');
          await clientSaid.promise;
          yield Buffer.from('true}\n');
        })(),
      },
      guard: { begin: () => Promise.reject(failure) },
      readOnlyHint: 'trust',
      trace: 'off',
      traceParent: null,
    });
    await proxy.run();
    expect(written.slice(0, 2).join('')).toBe('{"half":true}\n');
    expect(JSON.parse(written[2] ?? '')).toMatchObject({ id: 1 });
  });

  it('reads no further than the reader at the other end has taken', async () => {
    let produced = 0;
    const taken: (() => void)[] = [];
    const first = Promise.withResolvers<void>();
    const proxy = new McpProxy({
      client: {
        input: (async function* (): AsyncGenerator<Buffer> {})(),
        output: new Writable({
          write: (_chunk, _encoding, done) => {
            taken.push(done);
            first.resolve();
          },
        }),
      },
      upstream: {
        send: async () => {},
        end: () => {},
        output: (async function* () {
          for (let turn = 0; turn < 100; turn += 1) {
            produced += 1;
            yield Buffer.alloc(65_536, 'x');
          }
        })(),
      },
      guard: { begin: () => Promise.reject(failure) },
      readOnlyHint: 'trust',
      trace: 'off',
      traceParent: null,
    });
    const running = proxy.run();
    await first.promise;
    // Whatever could run now has run: nothing but the reader moves it on.
    await new Promise((resolve) => setImmediate(resolve));
    expect(produced).toBe(1);
    while (produced < 100 || taken.length > 0) {
      taken.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await running;
  });
});
