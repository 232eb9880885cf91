/** Whatever comes in, what goes on is valid, and what is valid comes through as it was. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  parseBaggage,
  parseTraceContext,
  parseTraceState,
  type TraceContext,
  traceFields,
} from '../../src/core/trace-context.ts';

const hex = (length: number): fc.Arbitrary<string> =>
  fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })
    .filter((text) => !/^0+$/.test(text));
const member = fc
  .tuple(
    fc.string({ unit: fc.constantFrom(...'abz09_-*/@'), maxLength: 8 }).map((rest) => `a${rest}`),
    fc.stringMatching(/^[!-+\--<>-~]{1,12}$/),
  )
  .map(([key, value]) => `${key}=${value}`);
const uniqueMembers = fc.uniqueArray(member, {
  maxLength: 32,
  selector: (text) => text.slice(0, text.indexOf('=')),
});
const baggageMember = fc.stringMatching(/^[A-Za-z0-9_.]{1,8}=[!#-+\--:<-[\]-~]{0,12}$/);

const context: fc.Arbitrary<TraceContext> = fc.record({
  traceId: hex(32),
  spanId: hex(16),
  parentId: fc.constant(''),
  flags: fc.constantFrom(0, 1, 2, 3),
  state: uniqueMembers.map((members) => members.join(',')),
  baggage: fc.array(baggageMember, { maxLength: 20 }).map((members) => members.join(',')),
});

/** Text that is nearly a header: pieces of valid ones, cut and mixed with anything. */
const nearly = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.oneof(
        fc.constantFrom('00', '-', 'ff', ',', '=', ';', ' ', '\t', '%', '\n', '\0', 'é', '"'),
        member,
        baggageMember,
        hex(32),
        hex(16),
      ),
      { maxLength: 40 },
    )
    .map((parts) => parts.join('')),
);
const header = fc.oneof(nearly, fc.array(nearly, { maxLength: 4 }));

describe('a trace context', () => {
  test('comes through its text as it was', () => {
    fc.assert(
      fc.property(context, (given) => {
        expect(parseTraceContext(traceFields(given))).toEqual(given);
      }),
    );
  });

  test('of any text whatever is none, or one that comes through as it is', () => {
    const prefix = fc.constantFrom('', `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`);
    fc.assert(
      fc.property(prefix, nearly, header, header, (start, rest, tracestate, baggage) => {
        const parsed = parseTraceContext({ traceparent: start + rest, tracestate, baggage });
        if (parsed === null) return;
        expect(parseTraceContext(traceFields(parsed))).toEqual(parsed);
      }),
      { numRuns: 2000 },
    );
  });

  test('holds nothing that could end a header or a line', () => {
    const isPrintable = /^[\t\x20-\x7e]*$/;
    fc.assert(
      fc.property(header, (text) => {
        expect(parseTraceState(text)).toMatch(isPrintable);
        expect(parseBaggage(text)).toMatch(isPrintable);
        expect(parseTraceState(parseTraceState(text))).toBe(parseTraceState(text));
        expect(parseBaggage(parseBaggage(text))).toBe(parseBaggage(text));
      }),
      { numRuns: 2000 },
    );
  });
});

test('hostile lengths are parsed in time that grows with the length', () => {
  const blanks = `a=1${' '.repeat(200_000)}x`;
  expect(parseBaggage(blanks)).toBe('');
  expect(parseBaggage(`a=1${';'.repeat(100_000)}`)).toBe('');
  expect(parseTraceState(`a=${' '.repeat(200_000)}`)).toBe('');
  expect(parseTraceState(','.repeat(200_000))).toBe('');
});
