import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStrictJson } from '../../src/agent/strict-json.ts';
import { GhostsnapError } from '../../src/core/errors.ts';

const BOUNDS = { bytesMax: 100_000, depthMax: 16 };
const parse = (text: string): unknown => parseStrictJson(Buffer.from(text), BOUNDS);

function refusalOf(text: string | Uint8Array): string {
  try {
    parseStrictJson(typeof text === 'string' ? Buffer.from(text) : text, BOUNDS);
  } catch (error) {
    if (error instanceof GhostsnapError) return error.message;
    throw error;
  }
  return '';
}

describe('parseStrictJson()', () => {
  it('gives what JSON.parse gives, for JSON without tricks', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8, noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('"__proto__"'));
        expect(JSON.stringify(parse(text))).toBe(text);
        expect(JSON.stringify(parse(JSON.stringify(value, null, 2)))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it('refuses what any two readers could understand differently', () => {
    expect(refusalOf('{"a":1,"a":2}')).toContain('twice');
    expect(refusalOf('{"a":{"b":1,"c":[{"x":1,"\\u0078":2}]}}')).toContain('twice');
    expect(refusalOf('{"__proto__":{"x":1}}')).toContain('__proto__');
    expect(refusalOf('{"a":[{"\\u005f_proto__" :1}]}')).toContain('__proto__');
    expect(refusalOf(Buffer.from([0x22, 0xff, 0x22]))).toContain('UTF-8');
    expect(parse('{"a":{"x":1},"b":{"x":2},"c":["x","x"]}')).toEqual({
      ...{ a: { x: 1 }, b: { x: 2 }, c: ['x', 'x'] },
    });
    expect(parse('{"a":"\\"b\\":1,","c\\\\":"\\\\"}')).toEqual({ a: '"b":1,', 'c\\': '\\' });
  });

  it('refuses what is too large or too deep before it is parsed', () => {
    expect(refusalOf('['.repeat(17))).toContain('deeper than 16');
    expect(refusalOf(`${'['.repeat(16)}${']'.repeat(16)}`)).toBe('');
    expect(refusalOf('['.repeat(99_999))).toContain('deeper');
    expect(refusalOf(`"${'x'.repeat(100_000)}"`)).toContain('bytes');
  });

  it('throws its own error and nothing else, for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        refusalOf(bytes);
      }),
      { numRuns: 1000 },
    );
    const nearly = fc
      .tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.constantFrom('', '"', '{', '}', ',', '\\', ':'))
      .map(
        ([text, at, put]) =>
          text.slice(0, at % (text.length + 1)) + put + text.slice((at % text.length) + 1),
      );
    fc.assert(
      fc.property(nearly, (text) => {
        refusalOf(text);
      }),
      { numRuns: 2000 },
    );
  });
});
