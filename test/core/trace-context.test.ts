/**
 * The cases of the W3C trace-context test suite (test/test.py there), by its names, and baggage.
 * "new": the incoming context is not continued. Blanks around a header belong to HTTP; we take them too.
 */
import { describe, expect, test } from 'vitest';
import {
  childContext,
  formatTraceparent,
  isSampled,
  newTrace,
  parseBaggage,
  parseTraceContext,
  parseTraceState,
  parseTraceVariables,
  SAMPLED,
  spanIdOf,
  traceFields,
  traceVariables,
} from '../../src/core/trace-context.ts';

const TRACE = '12345678901234567890123456789012';
const PARENT = '1234567890123456';
const VALID = `00-${TRACE}-${PARENT}-01`;

describe('traceparent', () => {
  test.each<[name: string, headers: readonly string[]]>([
    ['both_traceparent_and_tracestate_missing', []],
    ['traceparent_duplicated', [`00-${TRACE.slice(0, 31)}1-${PARENT}-01`, VALID]],
    ['traceparent_version_0x00: trailing', [`${VALID}.`]],
    ['traceparent_version_0x00: more', [`${VALID}-what-the-future-will-be-like`]],
    ['traceparent_version_0xcc: no dash', [`cc${VALID.slice(2)}.what-the-future-will-be-like`]],
    ['traceparent_version_0xff', [`ff${VALID.slice(2)}`]],
    ['traceparent_version_illegal_characters: first', [`.0${VALID.slice(2)}`]],
    ['traceparent_version_illegal_characters: second', [`0.${VALID.slice(2)}`]],
    ['traceparent_version_too_long: 3', [`000${VALID.slice(2)}`]],
    ['traceparent_version_too_long: 4', [`0000${VALID.slice(2)}`]],
    ['traceparent_version_too_short', [`0${VALID.slice(2)}`]],
    ['traceparent_trace_id_all_zero', [`00-${'0'.repeat(32)}-${PARENT}-01`]],
    ['traceparent_trace_id_illegal_characters: first', [`00-.${TRACE.slice(1)}-${PARENT}-01`]],
    ['traceparent_trace_id_illegal_characters: last', [`00-${TRACE.slice(0, 31)}.-${PARENT}-01`]],
    ['traceparent_trace_id_too_long', [`00-${TRACE}3-${PARENT}-01`]],
    ['traceparent_trace_id_too_short', [`00-${TRACE.slice(0, 31)}-${PARENT}-01`]],
    ['traceparent_parent_id_all_zero', [`00-${TRACE}-${'0'.repeat(16)}-01`]],
    ['traceparent_parent_id_illegal_characters: first', [`00-${TRACE}-.${PARENT.slice(1)}-01`]],
    ['traceparent_parent_id_illegal_characters: last', [`00-${TRACE}-${PARENT.slice(0, 15)}.-01`]],
    ['traceparent_parent_id_too_long', [`00-${TRACE}-${PARENT}7-01`]],
    ['traceparent_parent_id_too_short', [`00-${TRACE}-${PARENT.slice(0, 15)}-01`]],
    ['traceparent_trace_flags_illegal_characters: first', [`00-${TRACE}-${PARENT}-.0`]],
    ['traceparent_trace_flags_illegal_characters: last', [`00-${TRACE}-${PARENT}-0.`]],
    ['traceparent_trace_flags_too_long', [`00-${TRACE}-${PARENT}-001`]],
    ['traceparent_trace_flags_too_short', [`00-${TRACE}-${PARENT}-1`]],
    ['upper case', [VALID.replace(TRACE, `${TRACE.slice(0, 31)}A`)]],
    ['a line end, which a header must not hold', [`${VALID}\n`]],
  ])('%s: new', (_, headers) => {
    expect(parseTraceContext({ traceparent: headers })).toBeNull();
    if (headers.length === 1) expect(parseTraceContext({ traceparent: headers[0] })).toBeNull();
  });

  test.each<[name: string, header: string]>([
    ['traceparent_included_tracestate_missing', VALID],
    ['traceparent_version_0xcc', `cc${VALID.slice(2)}`],
    ['traceparent_version_0xcc: more', `cc${VALID.slice(2)}-what-the-future-will-be-like`],
    ['traceparent_ows_handling: blank before', ` ${VALID}`],
    ['traceparent_ows_handling: tab before', `\t${VALID}`],
    ['traceparent_ows_handling: blank after', `${VALID} `],
    ['traceparent_ows_handling: tab after', `${VALID}\t`],
    ['traceparent_ows_handling: all around', `\t ${VALID} \t`],
  ])('%s: continued, as version 00, with a parent id of our own', (_, traceparent) => {
    const context = parseTraceContext({ traceparent });
    expect(context).toMatchObject({ traceId: TRACE, spanId: PARENT, flags: SAMPLED });
    if (context === null) throw new Error('not continued');
    const child = childContext(context, 0x0badcafe, -1);
    expect(formatTraceparent(child)).toBe(`00-${TRACE}-0badcafeffffffff-01`);
    expect(child.parentId).toBe(PARENT);
  });

  test('TraceContext2Test.propagates_random_flag; flags that nobody knows are zero', () => {
    const random = parseTraceContext({ traceparent: `00-${TRACE}-${PARENT}-02` });
    expect(random?.flags).toBe(2);
    const unknown = parseTraceContext({ traceparent: `00-${TRACE}-${PARENT}-ff` });
    expect(unknown === null ? '' : formatTraceparent(unknown)).toBe(`00-${TRACE}-${PARENT}-03`);
  });

  test('multiple_requests_with_valid_traceparent: one trace, different parents', () => {
    const context = parseTraceContext({ traceparent: VALID });
    if (context === null) throw new Error('not continued');
    const children = [1, 2, 3].map((low) => childContext(context, 0, low));
    expect(new Set(children.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
    expect(new Set(children.map(({ spanId }) => spanId)).size).toBe(3);
  });

  test('multiple_requests_without_traceparent: a new trace is valid, even of zeros', () => {
    for (const words of [
      [0, 0, 0, 0, 0, 0],
      [1, -2, 3, -4, 5, -6],
    ]) {
      const context = newTrace(words, { sampled: 'yes' });
      expect(parseTraceContext(traceFields(context))).toEqual(context);
    }
    expect(isSampled(newTrace([1, 1, 1, 1, 1, 1], { sampled: 'no' }))).toBe(false);
    expect(spanIdOf(0, 0)).toMatch(/^0{15}1$/);
  });
});

describe('tracestate', () => {
  const KEY = 'abcdefghijklmnopqrstuvwxyz0123456789_-*/';
  const letters = (from: number, to: number): string =>
    String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, index) => from + index));
  const VALUE = letters(0x20, 0x2b) + letters(0x2d, 0x3c) + letters(0x3e, 0x7e);
  const numbered = (from: number, to: number): string =>
    Array.from({ length: to - from + 1 }, (_, index) => `bar${from + index}=${from + index}`).join(
      ',',
    );

  test.each<[name: string, headers: string | readonly string[], kept: string]>([
    ['included_traceparent_included', 'foo=1,bar=2', 'foo=1,bar=2'],
    ['empty_header', '', ''],
    ['empty_header: after', ['foo=1', ''], 'foo=1'],
    ['empty_header: before', ['', 'foo=1'], 'foo=1'],
    [
      'multiple_headers_different_keys',
      ['foo=1,bar=2', 'rojo=1,congo=2', 'baz=3'],
      'foo=1,bar=2,rojo=1,congo=2,baz=3',
    ],
    ['duplicated_keys: alike', 'foo=1,foo=1', 'foo=1'],
    ['duplicated_keys: different', 'foo=1,foo=2', 'foo=1'],
    ['duplicated_keys: headers', ['foo=1', 'foo=2'], 'foo=1'],
    ['all_allowed_characters', `${KEY}=${VALUE}`, `${KEY}=${VALUE}`],
    ['all_allowed_characters: vendor', `${KEY}@a-z0-9_-*/=${VALUE}`, `${KEY}@a-z0-9_-*/=${VALUE}`],
    ['ows_handling', 'foo=1 \t , \t bar=2, \t baz=3', 'foo=1,bar=2,baz=3'],
    ['ows_handling: tabs', 'foo=1\t \t,\t \tbar=2,\t \tbaz=3', 'foo=1,bar=2,baz=3'],
    ['ows_handling: around', '\t foo=1 \t', 'foo=1'],
    ['key_illegal_characters: blank', 'foo =1', ''],
    ['key_illegal_characters: upper case', 'FOO=1', ''],
    ['key_illegal_characters: dot', 'foo.bar=1', ''],
    ['key_illegal_vendor_format: at the end', 'foo@=1,bar=2', 'foo@=1,bar=2'],
    ['key_illegal_vendor_format: at the start', '@foo=1,bar=2', ''],
    ['key_illegal_vendor_format: twice', 'foo@@bar=1,bar=2', 'foo@@bar=1,bar=2'],
    ['key_illegal_vendor_format: two', 'foo@bar@baz=1,bar=2', 'foo@bar@baz=1,bar=2'],
    ['member_count_limit: 32', [numbered(1, 10), numbered(11, 32)], numbered(1, 32)],
    ['member_count_limit: 33', [numbered(1, 10), numbered(11, 33)], ''],
    ['key_length_limit: 256', ['foo=1', `${'z'.repeat(256)}=1`], `foo=1,${'z'.repeat(256)}=1`],
    ['key_length_limit: 257', ['foo=1', `${'z'.repeat(257)}=1`], ''],
    ['key_length_limit: vendor', `${'t'.repeat(242)}@v=1`, `${'t'.repeat(242)}@v=1`],
    ['value_illegal_characters: equals', 'foo=bar=baz', ''],
    ['value_illegal_characters: none', 'foo=,bar=3', ''],
    ['value of 256', `foo=${'x'.repeat(256)}`, `foo=${'x'.repeat(256)}`],
    ['value of 257', `foo=${'x'.repeat(257)}`, ''],
  ])('%s', (_, tracestate, kept) => {
    const context = parseTraceContext({ traceparent: VALID, tracestate });
    expect(context).toMatchObject({ traceId: TRACE, state: kept });
    expect(parseTraceState(tracestate)).toBe(kept);
  });

  test('included_traceparent_missing: discarded with the rest', () => {
    expect(parseTraceContext({ tracestate: 'foo=1' })).toBeNull();
  });

  test('one that is too long loses long members first, then those at the end', () => {
    const long = `long=${'x'.repeat(200)}`;
    const many = Array.from({ length: 30 }, (_, index) => `k${index}=${'y'.repeat(90)}`);
    const state = parseTraceState([long, ...many].join(','));
    expect(state).not.toContain('long=');
    expect(state.startsWith(`${many[0]},${many[1]}`)).toBe(true);
    expect(state.length).toBeGreaterThan(512);
    expect(state.length).toBeLessThanOrEqual(2048);
  });
});

describe('baggage', () => {
  test.each<[name: string, headers: string | readonly string[] | undefined, kept: string]>([
    ['none', undefined, ''],
    ['one', 'userId=alice', 'userId=alice'],
    ['properties', 'a=1;p=2;q , b=%20x', 'a=1;p=2;q,b=%20x'],
    ['several headers', ['a=1', 'b=2'], 'a=1,b=2'],
    ['an invalid member falls out alone', 'a=1,b c=2,"d"=3,e=4', 'a=1,e=4'],
    ['a value may be empty', 'a=', 'a='],
    ['a quote, a backslash, a letter beyond ASCII', 'a="1",b=\\,c=é', ''],
    ['a line end', 'a=1\r\nX: y', ''],
  ])('%s', (_, headers, kept) => {
    expect(parseBaggage(headers)).toBe(kept);
  });

  test('is cut at 64 members and 8192 bytes, at a member', () => {
    const many = Array.from({ length: 70 }, (_, index) => `k${index}=v`).join(',');
    expect(parseBaggage(many).split(',')).toHaveLength(64);
    const large = ['a=1', `b=${'x'.repeat(8200)}`, 'c=1'].join(',');
    expect(parseBaggage(large)).toBe('a=1');
  });
});

test('a child process gets what the environment carrier names, and reads it', () => {
  const context = parseTraceContext({ traceparent: VALID, tracestate: 'a=1', baggage: 'b=2' });
  if (context === null) throw new Error('not continued');
  const variables = traceVariables(context);
  expect(variables).toEqual({ TRACEPARENT: VALID, TRACESTATE: 'a=1', BAGGAGE: 'b=2' });
  expect(parseTraceVariables(variables)).toEqual(context);
  expect(parseTraceVariables({})).toBeNull();
});
