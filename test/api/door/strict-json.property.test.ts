import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HOOK_PAYLOAD,
  type JsonBounds,
  parseStrictJson,
  REQUEST_BODY,
  readStrictJson,
} from '../../../src/api/door/strict-json.ts';
import { GhostsnapError } from '../../../src/core/errors.ts';
import { mutatedJson } from './mutated-json.ts';

const EXACT: JsonBounds = { bytesMax: 100_000, depthMax: 16, values: 'exact' };
const LENIENT: JsonBounds = { ...EXACT, values: 'lenient' };

/** Why it is refused; '' when it is not. */
function whyOf(text: string | Uint8Array, bounds: JsonBounds = EXACT): string {
  const reading = readStrictJson(typeof text === 'string' ? Buffer.from(text) : text, bounds);
  return reading.ok ? '' : reading.why;
}

function readingOf(text: string, bounds: JsonBounds = EXACT): unknown {
  const reading = readStrictJson(Buffer.from(text), bounds);
  if (!reading.ok) throw new Error(`${text.slice(0, 80)} was refused: ${reading.why}`);
  return reading.value;
}

/** What JSON.parse makes of it; undefined when it is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

describe('readStrictJson()', () => {
  it('gives what JSON.parse gives, for JSON without tricks', () => {
    const plain = fc.jsonValue({ maxDepth: 8, noUnicodeString: false });
    fc.assert(
      fc.property(plain, (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('"__proto__"'));
        expect(JSON.stringify(readingOf(text, LENIENT))).toBe(text);
        expect(JSON.stringify(readingOf(JSON.stringify(value, null, 2), LENIENT))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it('knows the grammar: lenient, it takes what JSON.parse takes but for keys, and nothing else', () => {
    fc.assert(
      fc.property(mutatedJson, (text) => {
        const why = whyOf(text, LENIENT);
        // Lenient, one byte-order mark before the text is no part of it.
        const isJson = parsed(text.replace(/^\ufeff/, '')) !== undefined;
        if (why === '') expect(isJson).toBe(true);
        else if (isJson) expect(why).toMatch(/__proto__|twice|deeper/);
        else expect(why).toMatch(/not JSON|__proto__|twice|deeper/);
      }),
      { numRuns: 5000 },
    );
  });

  it('exact, it takes only what survives being written and read again', () => {
    const number = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
      fc.stringMatching(/^-?[1-9][0-9]{0,25}(\.[0-9]{1,9})?(e[-+]?[0-9]{1,4})?$/),
    );
    fc.assert(
      fc.property(number, (literal) => {
        const value = Number(literal);
        if (whyOf(`[${literal}]`) !== '') {
          const isHeld = Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
          expect(isHeld && value !== 0).toBe(false);
          return;
        }
        expect(Number.isFinite(value)).toBe(true);
        if (Number.isInteger(value)) expect(Number.isSafeInteger(value)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('throws nothing, for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        whyOf(bytes);
        whyOf(bytes, LENIENT);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('readStrictJson() refuses', () => {
  it('equal keys and prototypes, in any spelling', () => {
    expect(whyOf('{"a":1,"a":2}')).toContain('twice');
    expect(whyOf('{"a":{"b":1,"c":[{"x":1,"\\u0078":2}]}}')).toContain('twice');
    expect(whyOf('{"__proto__":{"x":1}}')).toContain('__proto__');
    expect(whyOf('{"a":[{"\\u005f_proto__" :1}]}')).toContain('__proto__');
    expect(readingOf('{"a":{"x":1},"b":{"x":2},"c":["x","x"]}')).toEqual({
      ...{ a: { x: 1 }, b: { x: 2 }, c: ['x', 'x'] },
    });
    expect(readingOf('{"a":"\\"b\\":1,","c\\\\":"\\\\"}')).toEqual({ a: '"b":1,', 'c\\': '\\' });
  });

  it('what is too large or too deep, before it is parsed', () => {
    expect(whyOf('['.repeat(17))).toContain('deeper than 16');
    expect(whyOf(`${'['.repeat(16)}${']'.repeat(16)}`)).toBe('');
    expect(whyOf('['.repeat(99_999))).toContain('deeper');
    expect(whyOf(`"${'x'.repeat(100_000)}"`)).toContain('bytes');
    expect(REQUEST_BODY).toMatchObject({ bytesMax: 65_536, depthMax: 32, values: 'exact' });
    expect(whyOf(`${'['.repeat(33)}${']'.repeat(33)}`, REQUEST_BODY)).toContain('32 levels');
  });

  it('numbers that a double does not hold, and only when asked to be exact', () => {
    const bad = ['1e999', '-1e999', '9007199254740993', '9007199254740992', '1e16', '1e-400'];
    for (const literal of bad) {
      expect(whyOf(`{"a":[${literal}]}`), literal).toMatch(/number/);
      expect(whyOf(`{"a":[${literal}]}`, LENIENT), literal).toBe('');
    }
    for (const literal of ['NaN', 'Infinity', '-Infinity', '0x10', '01', '+1', '.5', '1.', '-']) {
      expect(whyOf(literal, LENIENT), literal).toContain('not JSON');
    }
    const good = ['0', '-0', '0.0', '0e9', '9007199254740991', '-9007199254740991', '1.5e3'];
    for (const literal of good) expect(whyOf(literal), literal).toBe('');
  });

  it('half characters, and only when asked to be exact', () => {
    for (const text of ['"\\ud83d"', '"\\ude00"', '"\\ude00\\ud83d"', '"\\ud83d\\ud83d\\ude00"']) {
      expect(whyOf(text), text).toContain('surrogate');
      expect(whyOf(text, LENIENT), text).toBe('');
    }
    expect(whyOf('{"\\uD83D":1}')).toContain('surrogate');
    expect(readingOf('"\\ud83d\\ude00 \\uD83D\\uDE00 \\\\ud83d"')).toBe('😀 😀 \\ud83d');
    expect(whyOf(Buffer.from([0x22, 0xff, 0x22]))).toContain('UTF-8');
    expect(whyOf(Buffer.from([0x22, 0xed, 0xa0, 0xbd, 0x22]))).toContain('UTF-8');
  });

  it('a byte-order mark, but not from a harness', () => {
    expect(whyOf('\ufeff{}')).toContain('not JSON');
    expect(whyOf('\ufeff{}', HOOK_PAYLOAD)).toBe('');
    expect(whyOf('\ufeff\ufeff{}', HOOK_PAYLOAD)).toContain('not JSON');
  });

  it('parseStrictJson() says it as an error, with whose text it was', () => {
    const words = { subject: 'The body', hint: 'Send one value.' };
    expect(parseStrictJson(Buffer.from('[1]'), EXACT, words)).toEqual([1]);
    const attempt = (): unknown => parseStrictJson(Buffer.from('[1'), EXACT, words);
    expect(attempt).toThrow(GhostsnapError);
    expect(attempt).toThrow('The body was refused: it is not JSON.');
  });
});
