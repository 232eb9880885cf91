/**
 * Requests that are nearly good: each a sample of an operation, broken in one to three places.
 *
 * What is broken: the JSON as text, a field of it, the path, the query, an id, a header, the method. The same
 * seed gives the same requests, so that a finding can be repeated.
 */
import { mutations } from '../api/door/mutated-json.ts';
import type { Chance } from './chance.ts';
import type { SentRequest } from './request-samples.ts';

const LONG = 'a'.repeat(70_000);

const VALUES: readonly unknown[] = [
  ...[null, true, -1, 0, 1.5, 2 ** 53, '', ' ', [], {}, [[]], 'live', '@', '@~1', '@~99999999999'],
  ...[
    '../../etc/passwd',
    '/etc/passwd',
    'src/../../x',
    '.ghostsnap',
    'a\u0000b',
    '\u202e',
    '\ud83d',
  ],
  ...['ws_01JDSB0000000000000000000A', 'call_01JDSB0000000000000000000A', 'x'.repeat(300), LONG],
  ...['toString', '__proto__', 'constructor', { a: { b: 1 } }, ['a', 'a'], Array(300).fill('p')],
];

const FIELDS = [
  ...['__proto__', 'constructor', 'hasOwnProperty', 'workspace', 'snapshot', 'tenant', 'principal'],
  ...['role', 'path', 'limit', 'id', ''],
];

const PATH_PIECES = [
  ...['/', '//', '.', '..', '/../', '%2e%2e', '%2f', '%5c', '%00', '%', '%zz', '%ff', '%c0%ae'],
  ...['?', '&', '=', '#', ';', ':', '\\', '+', '*', '@', '~', '|', '{', 'ü', '\t', ' ', '%25'],
  ...['?limit=', '&limit=1&limit=2', '?__proto__=1', '?cursor=e30', '&after=-1', '&paths=..'],
  ...['/v1', '/calls', '/undo', '/events/stream', 'x'.repeat(1200), 'y'.repeat(5000)],
];

const ID_CHARACTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZilou_-/%.';
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'FUZZ'];

const HEADERS: readonly (readonly [string, readonly string[]])[] = [
  ['idempotency-key', ['', ' ', 'k', 'ü', 'a'.repeat(256), 'a b', '\u0001', '__proto__']],
  [
    'content-type',
    [
      ...['text/plain', 'application/json; charset=utf-16', 'application/x-ndjson', ''],
      ...['application/json, text/html', 'multipart/form-data; boundary=x', 'APPLICATION/JSON'],
    ],
  ],
  ['content-encoding', ['gzip', 'identity', 'br, gzip', '']],
  ['content-length', ['0', '1', '-1', '+5', '0x10', '99999999999999999999', '70000', '5, 5']],
  ['transfer-encoding', ['chunked', 'identity', 'gzip, chunked', 'xchunked']],
  ['traceparent', ['', '00', '00-0-0-0', `ff-${'0'.repeat(32)}-${'0'.repeat(16)}-00`, LONG]],
  ['tracestate', ['a=b', '=', 'a'.repeat(600), 'a=1,a=2']],
  ['baggage', ['a=b', ';;;', 'x'.repeat(9000)]],
  ['ghostsnap-timeout-ms', ['', '0', '1', '-1', '1e3', '999999999', '60000']],
  ['last-event-id', ['0', '-1', '9'.repeat(30), 'abc', '1']],
  ['host', ['', 'a', 'a\tb', 'evil.example']],
  ['expect', ['100-continue', 'x']],
  ['connection', ['close', 'upgrade', 'keep-alive, te']],
  ['upgrade', ['h2c', 'websocket']],
  ['accept', ['*/*', 'text/html', '']],
  ['cookie', ['a=b', 'x'.repeat(5000)]],
  ['x-forwarded-for', ['127.0.0.1']],
  ['authorization', ['Bearer x', '']],
];

type Change = (request: SentRequest, chance: Chance) => SentRequest;

/** The commoner ones more than once. */
const CHANGES: readonly Change[] = [
  ...[brokenText, brokenText, brokenText, otherField, otherField, otherField],
  ...[otherPath, otherPath, otherId, otherHeader, otherHeader, withoutHeader, otherMethod],
];

export function mutatedRequest(sample: SentRequest, chance: Chance): SentRequest {
  let request = sample;
  for (let left = chance.below(3); left >= 0; left -= 1) {
    request = chance.pick(CHANGES)(request, chance);
  }
  return request;
}

function brokenText(request: SentRequest, chance: Chance): SentRequest {
  if (request.body === '') return otherPath(request, chance);
  return { ...request, body: brokenJson(request.body, chance) };
}

export function brokenJson(text: string, chance: Chance): string {
  return mutations([text], chance.below(2 ** 31) + 1).next().value ?? '';
}

/** A field more, one less, or one of another value; also of an object further in. */
function otherField(request: SentRequest, chance: Chance): SentRequest {
  const fields = fieldsOf(request.body);
  if (fields === null) return otherPath(request, chance);
  return { ...request, body: JSON.stringify(withOtherField(fields, chance)) };
}

export function withOtherField(
  fields: Readonly<Record<string, unknown>>,
  chance: Chance,
): Readonly<Record<string, unknown>> {
  const names = Object.keys(fields);
  const name =
    chance.below(3) === 0 || names.length === 0 ? chance.pick(FIELDS) : chance.pick(names);
  if (chance.below(5) === 0) {
    return Object.fromEntries(Object.entries(fields).filter(([other]) => other !== name));
  }
  const inner = fields[name];
  const isObject = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
  const value =
    isObject && chance.below(2) === 0
      ? withOtherField(inner as Readonly<Record<string, unknown>>, chance)
      : chance.pick(VALUES);
  // defineProperty: "__proto__" is a field like any other here.
  const copy = { ...fields };
  Object.defineProperty(copy, name, { value, enumerable: true });
  return copy;
}

export function fieldsOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

function otherPath(request: SentRequest, chance: Chance): SentRequest {
  const { target } = request;
  // The first character stays: what is no path at all is no request of either protocol.
  const from = 1 + chance.below(target.length);
  const piece = chance.pick(PATH_PIECES);
  const changed = target.slice(0, from) + piece + target.slice(from + chance.below(3));
  return { ...request, target: changed };
}

const IDS = /(?:ws|ghost|call|op)_[0-9A-Z]{26}/g;

function otherId(request: SentRequest, chance: Chance): SentRequest {
  const text = `${request.target}\n${request.body}`;
  const found = [...text.matchAll(IDS)];
  if (found.length === 0) return otherHeader(request, chance);
  const [id] = chance.pick(found);
  const at = chance.below(id.length);
  const character = ID_CHARACTERS[chance.below(ID_CHARACTERS.length)] ?? '0';
  const other = id.slice(0, at) + character + id.slice(at + 1);
  const [target = '', ...body] = text.replace(id, other).split('\n');
  return { ...request, target, body: body.join('\n') };
}

function otherHeader(request: SentRequest, chance: Chance): SentRequest {
  const [name, values] = chance.pick(HEADERS);
  const header = [name, chance.pick(values)] as const;
  const kept =
    chance.below(4) === 0 ? request.headers : request.headers.filter(([other]) => other !== name);
  return { ...request, headers: [...kept, header] };
}

function withoutHeader(request: SentRequest, chance: Chance): SentRequest {
  if (request.headers.length === 0) return otherHeader(request, chance);
  const at = chance.below(request.headers.length);
  return { ...request, headers: request.headers.toSpliced(at, 1) };
}

function otherMethod(request: SentRequest, chance: Chance): SentRequest {
  return { ...request, method: chance.pick(METHODS) };
}
