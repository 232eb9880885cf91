/**
 * What a message from an MCP client asks for, read from its bytes.
 *
 * Only what the proxy acts on is read: calls of tools and requests for the list of tools. The reading is
 * careful to one side: a message that could be read as a call by anybody (escaped or repeated keys, a
 * batch, text that is no JSON but speaks of `tools/call`) is never taken for something else.
 */
import { decodeString, JsonScanner, type ScanPath, type Span } from './json-scanner.ts';

export interface CallRequest {
  /** The bytes of the id; null in a notification, which nobody can answer. */
  readonly id: Buffer | null;
  /** null when the message does not say it in one way only. */
  readonly tool: string | null;
  /** The arguments as they are; null when there are none, several, or more than is looked at. */
  readonly input: unknown;
  /** As the client wrote it, whether it is valid or not. */
  readonly traceparent: string | null;
  /** Where a traceparent can be put in; null where it cannot. */
  readonly tracePlace: TracePlace | null;
}

export interface TracePlace {
  readonly at: number;
  /** Whether the `_meta` object has to be made as well. */
  readonly into: 'meta' | 'params';
  readonly isEmpty: boolean;
  /** Other fields of a trace that are there already: what the client wrote stays, and is not repeated. */
  readonly carried: readonly string[];
}

export type ClientMessage =
  | { readonly kind: 'other' }
  /** May be a call for a parser that is more lenient than ours. */
  | { readonly kind: 'unclear' }
  | {
      readonly kind: 'read';
      readonly calls: readonly CallRequest[];
      /** Requests for `tools/list`. */
      readonly lists: readonly Buffer[];
      /** Every id of a request in the message, also of those that call nothing. */
      readonly requests: readonly { readonly id: Buffer; readonly isCall: boolean }[];
      readonly isBatch: boolean;
    };

const OTHER: ClientMessage = { kind: 'other' };
const UNCLEAR: ClientMessage = { kind: 'unclear' };
const CALL = 'tools/call';
const LIST = 'tools/list';

/** Bytes of arguments that are still parsed for the log. */
const INPUT_BYTES_MAX = 16_384;

/** Keys down to `params._meta.traceparent` in an element of a batch. */
const DEPTH_MAX = 4;

/** Spans of one message; a key that is repeated has several. */
interface Parts {
  readonly ids: Span[];
  readonly methods: Span[];
  readonly params: Span[];
  readonly names: Span[];
  readonly inputs: Span[];
  readonly metas: Span[];
  readonly traceparents: Span[];
  readonly carried: string[];
}

export function readClientMessage(bytes: Buffer): ClientMessage {
  const mayCall = bytes.includes(CALL) || bytes.includes('\\');
  if (!mayCall && !bytes.includes(LIST)) return OTHER;
  const messages: Parts[] = [];
  let current = emptyParts();
  let isBatch = false;
  const scanner = new JsonScanner({
    depthMax: DEPTH_MAX,
    onValue: (path, span) => {
      // The batch's own level is the only one whose step is an element of an array.
      const isElement = path[0] === null;
      const inner = isElement ? path.slice(1) : path;
      isBatch ||= isElement;
      if (inner.length > 0) note(current, inner, span);
      else if (isElement || !isBatch) {
        messages.push(current);
        current = emptyParts();
      }
    },
  });
  scanner.feed(bytes);
  if (!scanner.end()) return mayCall ? UNCLEAR : OTHER;
  return summarize(bytes, messages, isBatch);
}

function emptyParts(): Parts {
  return {
    ...{ ids: [], methods: [], params: [], names: [], inputs: [], metas: [] },
    ...{ traceparents: [], carried: [] },
  };
}

function note(parts: Parts, path: ScanPath, span: Span): void {
  const [first, second, third] = path;
  if (path.length === 1) {
    if (first === 'id') parts.ids.push(span);
    else if (first === 'method') parts.methods.push(span);
    else if (first === 'params') parts.params.push(span);
  } else if (first === 'params' && path.length === 2) {
    if (second === 'name') parts.names.push(span);
    else if (second === 'arguments') parts.inputs.push(span);
    else if (second === '_meta') parts.metas.push(span);
  } else if (first === 'params' && second === '_meta' && path.length === 3) {
    if (third === 'traceparent') parts.traceparents.push(span);
    else if (third === 'tracestate' || third === 'baggage') parts.carried.push(third);
  }
}

function summarize(bytes: Buffer, messages: readonly Parts[], isBatch: boolean): ClientMessage {
  const calls: CallRequest[] = [];
  const lists: Buffer[] = [];
  const requests: { id: Buffer; isCall: boolean }[] = [];
  for (const parts of messages) {
    const methods = parts.methods.map((span) => textAt(bytes, span));
    const isCall = methods.includes(CALL);
    const id = idOf(bytes, parts);
    if (isCall) calls.push(callOf(bytes, parts, id));
    else if (methods.includes(LIST) && id !== null) lists.push(id);
    if (methods.length > 0 && id !== null) requests.push({ id, isCall });
  }
  if (calls.length === 0 && lists.length === 0) return OTHER;
  return { kind: 'read', calls, lists, requests, isBatch };
}

function callOf(bytes: Buffer, parts: Parts, id: Buffer | null): CallRequest {
  const name = only(parts.names);
  const traceparent = only(parts.traceparents);
  return {
    id,
    input: inputOf(bytes, only(parts.inputs)),
    tool: name === null || only(parts.params) === null ? null : textAt(bytes, name),
    traceparent: traceparent === null ? null : textAt(bytes, traceparent),
    tracePlace: parts.traceparents.length > 0 ? null : tracePlaceOf(bytes, parts),
  };
}

function tracePlaceOf(bytes: Buffer, parts: Parts): TracePlace | null {
  const params = only(parts.params);
  if (params === null || !isObject(bytes, params) || parts.metas.length > 1) return null;
  const [meta] = parts.metas;
  const holder = meta ?? params;
  if (!isObject(bytes, holder)) return null;
  const isEmpty = bytes.toString('latin1', holder.start + 1, holder.end - 1).trim() === '';
  const into = meta === undefined ? 'params' : 'meta';
  return { at: holder.start + 1, into, isEmpty, carried: parts.carried };
}

/** For the log alone, which keeps a line of it: a large file in a call is not parsed for that. */
function inputOf(bytes: Buffer, span: Span | null): unknown {
  if (span === null || span.end - span.start > INPUT_BYTES_MAX) return null;
  try {
    return JSON.parse(bytes.toString('utf8', span.start, span.end));
  } catch {
    // The server will refuse it; the log shows the call without its input.
    return null;
  }
}

/**
 * What to insert at `place.at`; every other byte of the message stays as it is.
 * @param fields `traceparent`, and what else belongs to the trace
 */
export function traceInsertion(
  place: TracePlace,
  fields: Readonly<Record<string, string>>,
): string {
  const members = Object.entries(fields)
    .filter(([name]) => !place.carried.includes(name))
    .map(([name, text]) => `${JSON.stringify(name)}:${JSON.stringify(text)}`)
    .join(',');
  return `${place.into === 'meta' ? members : `"_meta":{${members}}`}${place.isEmpty ? '' : ','}`;
}

/**
 * The last id counts, as it does for most parsers; a null id is none. One that is no JSON cannot be
 * repeated in an answer, which then has the id null, as JSON-RPC wants it.
 */
function idOf(bytes: Buffer, parts: Parts): Buffer | null {
  const span = parts.ids.at(-1);
  if (span === undefined) return null;
  const raw = bytes.subarray(span.start, span.end);
  if (raw.toString('latin1') === 'null') return null;
  return isJson(raw) ? raw : Buffer.from('null');
}

function isJson(raw: Buffer): boolean {
  try {
    JSON.parse(raw.toString('utf8'));
    return true;
  } catch {
    // A bare word, or a broken escape.
    return false;
  }
}

function only(spans: readonly Span[]): Span | null {
  return spans.length === 1 ? (spans[0] ?? null) : null;
}

function isObject(bytes: Buffer, span: Span): boolean {
  return bytes[span.start] === 0x7b;
}

/** null when the value is no string. */
function textAt(bytes: Buffer, span: Span): string | null {
  return bytes[span.start] === 0x22
    ? decodeString(bytes.toString('utf8', span.start, span.end))
    : null;
}

/** An id as a key of a table: equal for every way of writing the same string or number. */
export function idKey(raw: Buffer): string {
  const text = raw.toString('utf8');
  if (text.startsWith('"')) return `s${decodeString(text) ?? text}`;
  return /^-?\d+$/.test(text) ? `n${text}` : `n${Number(text)}`;
}
