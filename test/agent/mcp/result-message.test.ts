/** What the policy says of a call comes in its answer, and every other byte stays. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MCP_RESULT_HELD_MAX } from '../../../src/core/limits.ts';
import { inPieces } from './odd-message.ts';
import { lines, runWorld } from './proxy-world.ts';

const call = (id: unknown): unknown => ({ id, method: 'tools/call', params: { name: `t${id}` } });
const say = ({ key }: { readonly key: string }): string => `It deleted ${key}.`;
const told = (id: number): string => `{"type":"text","text":"It deleted ${id}."}`;

const spaces = fc.constantFrom('', ' ', '\t');
const content = fc.oneof(
  fc.constant('[]'),
  fc.constant('[ ]'),
  fc
    .array(fc.jsonValue({ maxDepth: 2 }), { minLength: 1, maxLength: 3 })
    .map((v) => JSON.stringify(v)),
);

describe('McpProxy', () => {
  it('puts the message behind the content, and changes no other byte', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        content,
        spaces,
        fc.boolean(),
        sizes,
        async (list, space, isFirst, pieces) => {
          const result = `"result":${space}{"x":9007199254740993,"content":${space}`;
          const id = `"id":${space}1`;
          const [head, tail] = isFirst
            ? [`{${id},${result}${list.slice(0, -1)}`, `]}}\n`]
            : [`{${result}${list.slice(0, -1)}`, `]},${id}}\n`];
          const { toClient } = await runWorld({
            ...{ fromClient: [lines(call(1))], say },
            fromServer: inPieces(Buffer.from(`${head}${tail}`), pieces),
          });
          const comma = list.slice(1, -1).trim() === '' ? '' : ',';
          expect(toClient.toString()).toBe(`${head}${comma}${told(1)}${tail}`);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('gives each answer of a batch its own message', async () => {
    const answers = '[{"id":2,"result":{"content":[]}},{"id":1,"result":{"content":[1]}}]\n';
    const { toClient } = await runWorld({
      ...{ fromClient: [lines([call(1), call(2)])], fromServer: [Buffer.from(answers)], say },
    });
    expect(toClient.toString()).toBe(
      `[{"id":2,"result":{"content":[${told(2)}]}},{"id":1,"result":{"content":[1,${told(1)}]}}]\n`,
    );
  });

  it.each([
    ['an error', '{"id":1,"error":{"code":1,"message":"no"}}\n'],
    ['a result without content', '{"id":1,"result":{"toolResult":7}}\n'],
    ['content that is no list', '{"id":1,"result":{"content":"text"}}\n'],
    ['content that is there twice', '{"id":1,"result":{"content":[],"content":[]}}\n'],
    [
      'a result over the bound',
      `{"id":1,"result":{"content":["${'x'.repeat(2 * MCP_RESULT_HELD_MAX)}"]}}\n`,
    ],
  ])('sends the message behind %s', async (_, answer) => {
    const { toClient } = await runWorld({
      ...{ fromClient: [lines(call(1))], fromServer: inPieces(Buffer.from(answer), [65_536]), say },
    });
    const [first = '', second = ''] = toClient.toString().split(/(?<=\n)/);
    expect(first === answer).toBe(true);
    expect(JSON.parse(second)).toMatchObject({
      ...{ method: 'notifications/message', params: { data: 'It deleted 1.' } },
    });
  });

  it('passes on what the server says meanwhile, before the call is judged', async () => {
    const note = '{"method":"notifications/progress"}\n';
    const { toClient } = await runWorld({
      ...{ fromClient: [lines(call(1))], say: () => null },
      fromServer: inPieces(Buffer.from(`${note}{"id":1,"result":{}}\n`), [7]),
    });
    expect(toClient.toString()).toBe(`${note}{"id":1,"result":{}}\n`);
  });
});
