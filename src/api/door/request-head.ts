/**
 * The head of a request, judged before its body is read and before any route is looked for.
 *
 * Node's parser has refused what is not HTTP. Here goes what is HTTP and still means two things to two
 * programs: a path with `..` in any spelling, a length given twice, an encoding around the body. A
 * refusal is a value, so that refusing costs less than serving.
 */
import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { HEADER_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX } from './http-limits.ts';

export interface RequestHead {
  readonly method: string;
  /** Path and query, as they came. */
  readonly target: string;
  /** Names and values in turn, as they came; pseudo-headers of HTTP/2 may be among them. */
  readonly rawHeaders: readonly string[];
}

export interface HeadRefusal {
  /** The HTTP status that says it best. */
  readonly status: 400 | 405 | 413 | 414 | 415 | 417 | 431;
  /** Ends the sentence "The request was refused: ". */
  readonly why: string;
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** Headers of which a second one changes what a request means, depending on who reads it. */
const ONCE: ReadonlySet<string> = new Set([
  ...['host', ':authority', ':path', ':method', ':scheme'],
  ...['content-length', 'content-type', 'content-encoding', 'transfer-encoding'],
  ...['authorization', 'idempotency-key', 'traceparent', 'last-event-id', 'expect'],
]);

const TARGET = /^\/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*$/;
const HEX_PAIRS = /^(?:[^%]|%[0-9A-Fa-f]{2})*$/;
/** An encoded NUL, control character, slash, backslash or percent sign: somebody decodes twice. */
const HIDDEN = /%(?:[01][0-9A-Fa-f]|2[Ff]|5[Cc]|25|7[Ff])/;
const DOTS = /(?:^|\/)(?:\.|%2[Ee]){1,2}(?:\/|$)/;
const DIGITS = /^[0-9]{1,15}$/;
const JSON_TYPE = /^application\/json(?:\s*;\s*charset="?utf-8"?)?$/i;
/** A stream of frames, each judged on its own; the one route that takes it says so to the router. */
const FRAMES_TYPE = 'application/x-ndjson';

/** Connections of HTTP/1.1 on which a request was refused. */
const distrusted = new WeakSet<object>();

/**
 * Judges a request of either protocol. What follows a refused one on a connection of HTTP/1.1 is refused
 * with it: Node has parsed it already, and hands it over also behind an answer that says "close".
 * @returns null when the request may go on
 */
export function judgeRequest(
  request: IncomingMessage | Http2ServerRequest,
  bodyBytesMax: number,
): HeadRefusal | null {
  const { method = '', url: target = '', rawHeaders, httpVersionMajor, socket } = request;
  if (httpVersionMajor !== 1) {
    const refusal = refuseHead({ method, target, rawHeaders }, bodyBytesMax);
    return (
      refusal ?? (isUntypedBody(request) ? { status: 415, why: 'its body has no type' } : null)
    );
  }
  if (distrusted.has(socket)) return { status: 400, why: 'one before it was refused' };
  const refusal =
    request.headers.host === undefined
      ? { status: 400 as const, why: 'it has no header host' }
      : refuseHead({ method, target, rawHeaders }, bodyBytesMax);
  if (refusal !== null) distrust(request);
  return refusal;
}

/** In HTTP/2 a body needs no length: without a type as well, the router takes it for none at all. */
function isUntypedBody(request: IncomingMessage | Http2ServerRequest): boolean {
  const { method, headers } = request;
  if (method === 'GET' || !('stream' in request) || headers['content-type'] !== undefined) {
    return false;
  }
  return !request.stream.endAfterHeaders;
}

/** For whoever refuses a head that was judged to be in order. */
export function distrust({ httpVersionMajor, socket }: IncomingMessage | Http2ServerRequest): void {
  if (httpVersionMajor === 1) distrusted.add(socket);
}

/** @returns null when the request may go on */
export function refuseHead(head: RequestHead, bodyBytesMax: number): HeadRefusal | null {
  if (!METHODS.has(head.method)) return { status: 405, why: 'its method is not one of the API' };
  return refuseTarget(head.target) ?? refuseHeaders(head.rawHeaders, bodyBytesMax);
}

function refuseTarget(target: string): HeadRefusal | null {
  if (target.length > TARGET_BYTES_MAX) {
    return { status: 414, why: `its path has more than ${TARGET_BYTES_MAX} bytes` };
  }
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  const isPlain =
    TARGET.test(target) && HEX_PAIRS.test(target) && !HIDDEN.test(path) && !path.includes('//');
  return isPlain && !DOTS.test(path)
    ? null
    : { status: 400, why: 'its path has more than one reading' };
}

function refuseHeaders(raw: readonly string[], bodyBytesMax: number): HeadRefusal | null {
  if (raw.length > HEADERS_MAX * 2) {
    return { status: 431, why: `it has more than ${HEADERS_MAX} headers` };
  }
  const once = new Map<string, string>();
  let bytes = 0;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase();
    const value = raw[at + 1] ?? '';
    bytes += name.length + value.length;
    if (!ONCE.has(name)) continue;
    if (once.has(name)) return { status: 400, why: `it has the header ${name} twice` };
    once.set(name, value);
  }
  if (bytes > HEADER_BYTES_MAX) {
    return { status: 431, why: `its headers have more than ${HEADER_BYTES_MAX} bytes` };
  }
  return refuseFraming(once, bodyBytesMax);
}

function refuseFraming(
  headers: ReadonlyMap<string, string>,
  bodyBytesMax: number,
): HeadRefusal | null {
  const length = headers.get('content-length');
  const coding = headers.get('transfer-encoding');
  if (headers.has('expect')) return { status: 417, why: 'it expects an answer before its body' };
  if (length !== undefined && coding !== undefined) {
    return { status: 400, why: 'its length is given in two ways' };
  }
  if (length !== undefined && !DIGITS.test(length)) {
    return { status: 400, why: 'its length is not a number' };
  }
  if (coding !== undefined && coding !== 'chunked') {
    return { status: 400, why: 'its transfer encoding is not "chunked"' };
  }
  if (Number(length ?? 0) > bodyBytesMax) {
    return { status: 413, why: `its body has ${length} bytes; ${bodyBytesMax} is the most` };
  }
  const encoding = headers.get('content-encoding');
  if (encoding !== undefined && encoding !== 'identity') {
    return { status: 415, why: 'its body is encoded' };
  }
  const type = headers.get('content-type');
  if (type !== undefined && type !== FRAMES_TYPE && !JSON_TYPE.test(type)) {
    return { status: 415, why: 'its body is not application/json' };
  }
  return null;
}
