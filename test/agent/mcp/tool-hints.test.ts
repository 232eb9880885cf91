import { describe, expect, it } from 'vitest';
import { readClientMessage } from '../../../src/agent/mcp/client-message.ts';
import { ToolHints } from '../../../src/agent/mcp/tool-hints.ts';

const listed = (...tools: readonly (readonly [string, unknown])[]): string =>
  JSON.stringify({
    id: 1,
    result: {
      tools: tools.map(([name, readOnlyHint]) => ({ name, annotations: { readOnlyHint } })),
    },
  });

describe('ToolHints', () => {
  it('believes true and nothing else, of the newest list that names the tool', () => {
    const hints = new ToolHints();
    hints.learn(listed(['a', true], ['b', 'true'], ['c', 1], ['d', undefined]));
    expect(['a', 'b', 'c', 'd', 'e'].filter((name) => hints.isReadOnly(name))).toEqual(['a']);
    hints.learn(listed(['a', false]));
    hints.learn(listed(['__proto__', true]));
    expect([hints.isReadOnly('a'), hints.isReadOnly('__proto__')]).toEqual([false, true]);
    hints.forget();
    expect(hints.isReadOnly('__proto__')).toBe(false);
  });

  it('does not believe it of a name that two tools have', () => {
    const hints = new ToolHints();
    hints.learn(listed(['a', false], ['a', true]));
    hints.learn(listed(['b', true], ['b', false]));
    expect([hints.isReadOnly('a'), hints.isReadOnly('b')]).toEqual([false, false]);
  });

  it.each([
    '',
    'no json',
    '[]',
    'null',
    '{"result":{"tools":{}}}',
    '{"result":{"tools":[null,{}]}}',
  ])('learns nothing from %j', (text) => {
    const hints = new ToolHints();
    hints.learn(text);
    expect(hints.isReadOnly('undefined')).toBe(false);
  });
});

describe('readClientMessage()', () => {
  it.each([
    '{"method":"tools/call","params":{"name":"look","name":"wipe"}}',
    '{"method":"tools/call","params":{"name":"look"},"params":{"name":"wipe"}}',
    '{"method":"tools/call","params":{"name":1}}',
    '{"method":"tools/call","params":["look"]}',
    '{"method":"tools/call"}',
  ])('gives no name of a tool for %s', (line) => {
    const message = readClientMessage(Buffer.from(line));
    expect(message.kind === 'read' && message.calls[0]?.tool).toBe(null);
  });

  it('reads a name however it is written', () => {
    const line = '{"params":{"n\\u0061me":"l\\u006fok"},"method":"tools\\/call"}';
    const message = readClientMessage(Buffer.from(line));
    expect(message.kind === 'read' && message.calls[0]?.tool).toBe('look');
  });
});
