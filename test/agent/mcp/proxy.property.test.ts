/**
 * Whatever either side says passes unchanged and in order, and nothing that is a call passes without its
 * snapshot. `GHOSTSNAP_FUZZ_RUNS=1000000` looks for longer.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inPieces, isCallForJsonParse, oddMessage } from './odd-message.ts';
import { runWorld } from './proxy-world.ts';

const RUNS = Number(process.env.GHOSTSNAP_FUZZ_RUNS ?? 1500);

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 });
const stream = fc
  .tuple(fc.array(oddMessage, { maxLength: 5 }), fc.constantFrom('\n', '\r\n'), fc.boolean())
  .map(([messages, end, isWhole]) => {
    const text = messages.map((message) => message + end).join('');
    return isWhole ? text : text.slice(0, -end.length || undefined);
  });

describe('McpProxy', () => {
  it('passes every byte of both sides in order, and takes a snapshot before each call', {
    timeout: 3_600_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(stream, stream, sizes, async (client, server, pieces) => {
        const fromClient = inPieces(Buffer.from(client), pieces);
        const fromServer = inPieces(Buffer.from(server), pieces);
        const { toClient, toServer, begun } = await runWorld({ fromClient, fromServer });
        expect(toServer.toString()).toBe(Buffer.from(client).toString());
        expect(toClient.toString()).toBe(Buffer.from(server).toString());
        let startBytes = 0;
        for (const line of client.split(/(?<=\n)/)) {
          if (isCallForJsonParse(line)) {
            // Its snapshot came after everything before it was sent, and before it was.
            expect(begun.some(({ sentBytes }) => sentBytes === startBytes)).toBe(true);
          }
          startBytes += Buffer.byteLength(line);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('passes no call whose snapshot failed, and everything else', async () => {
    await fc.assert(
      fc.asyncProperty(stream, sizes, async (client, pieces) => {
        const fromClient = inPieces(Buffer.from(client), pieces);
        const fail = (): Error => new Error('no snapshot');
        const { toServer, toClient } = await runWorld({ fromClient, fail });
        const passed = toServer.toString().split(/(?<=\n)/);
        expect(passed.filter(isCallForJsonParse)).toEqual([]);
        const lines = client.split(/(?<=\n)/);
        const plain = lines.filter((line) => !/tools|\\/.test(line)).join('');
        expect(passed.filter((line) => !/tools|\\/.test(line)).join('')).toBe(plain);
        // Every answer is a line of JSON.
        for (const line of toClient.toString().split('\n').slice(0, -1)) JSON.parse(line);
      }),
      { numRuns: RUNS },
    );
  });

  it('adds a traceparent to calls and changes nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(stream, sizes, async (client, pieces) => {
        const fromClient = inPieces(Buffer.from(client), pieces);
        const { toServer } = await runWorld({ fromClient, trace: 'on' });
        expect(withoutTrace(toServer.toString(), Buffer.from(client).toString())).toBe(
          Buffer.from(client).toString(),
        );
        const sent = toServer.toString().split('\n');
        for (const [index, line] of client.split('\n').entries()) {
          // What was JSON is JSON, with the same meaning but for the trace.
          if (isCallForJsonParse(line)) JSON.parse(sent[index] ?? '');
        }
      }),
      { numRuns: RUNS },
    );
  });
});

/** `sent` without the traces that were put in; `original` tells whether `_meta` was as well. */
function withoutTrace(sent: string, original: string): string {
  const added = /("_meta":\{)?"traceparent":"00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]"(,|\})?/g;
  let text = '';
  let from = 0;
  for (const match of sent.matchAll(added)) {
    text += sent.slice(from, match.index);
    from = match.index + match[0].length;
    const hasMeta = match[1] !== undefined;
    const isOwnMeta = hasMeta && original.startsWith(match[1] ?? '', text.length);
    if (isOwnMeta) text += match[1];
    // A brace that closes our own _meta is ours, with the comma after it.
    if (hasMeta && !isOwnMeta) from += sent[from] === ',' ? 1 : 0;
    else if (match[2] === '}') from -= 1;
  }
  return text + sent.slice(from);
}
