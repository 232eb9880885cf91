/**
 * W3C trace context and baggage: what ties one request together across processes, and its wire forms.
 *
 * Parsing never throws and never trusts: what the specification does not allow is taken as absent, as it
 * demands, so that a stranger's header can neither fail a request nor travel on. A context that was parsed
 * formats to text that parses to the same context. Random ids come in as values.
 * Sources: https://www.w3.org/TR/trace-context-2/ and https://www.w3.org/TR/baggage/
 */

export interface TraceContext {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** 16 of them: the span that what is passed this context belongs under. */
  readonly spanId: string;
  /** The span above `spanId` where that is known; '' for a context that came from outside. */
  readonly parentId: string;
  /** `SAMPLED` and `RANDOM`; every other bit is zero. */
  readonly flags: number;
  /** A valid tracestate, or ''. */
  readonly state: string;
  /** A valid baggage, or ''. */
  readonly baggage: string;
}

/** The text forms; a header or variable that came more than once is an array. */
export interface TraceCarrier {
  readonly traceparent?: string | readonly string[] | undefined;
  readonly tracestate?: string | readonly string[] | undefined;
  readonly baggage?: string | readonly string[] | undefined;
}

/** Somebody above records this trace. */
export const SAMPLED = 0x01;
/** The trace id is random, so that it can be sampled by (level 2). */
export const RANDOM = 0x02;

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const TRACE_ID_ZERO = '0'.repeat(32);
const SPAN_ID_ZERO = '0'.repeat(16);

const STATE_MEMBERS_MAX = 32;
/** Characters of a tracestate that are passed on; the specification asks for at least 512. */
const STATE_LENGTH_MAX = 2048;
/** Where something has to go, longer members go first. */
const STATE_LONG_MEMBER = 128;
const STATE_KEY = '[0-9a-z][_0-9a-z\\-*/@]{0,255}';
const STATE_VALUE = '[\\x20-\\x2b\\x2d-\\x3c\\x3e-\\x7e]{0,255}[\\x21-\\x2b\\x2d-\\x3c\\x3e-\\x7e]';
const STATE_MEMBER = new RegExp(`^${STATE_KEY}=${STATE_VALUE}$`);

/** Both from the specification, which asks for no more. */
const BAGGAGE_MEMBERS_MAX = 64;
const BAGGAGE_LENGTH_MAX = 8192;
const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const BAGGAGE_VALUE = '[\\x21\\x23-\\x2b\\x2d-\\x3a\\x3c-\\x5b\\x5d-\\x7e]*';
const OWS = '[ \\t]*';
const BAGGAGE_MEMBER = new RegExp(
  `^${TOKEN}${OWS}=${OWS}${BAGGAGE_VALUE}(${OWS};${OWS}${TOKEN}(${OWS}=${OWS}${BAGGAGE_VALUE})?)*$`,
);

/**
 * Where what a log tells happened, by the names of OpenTelemetry's log data model; without a trace nothing.
 * What is not sampled has no span of its own: then it is the caller's.
 */
export function logIds(trace: TraceContext | undefined): {
  readonly trace_id?: string;
  readonly span_id?: string;
} {
  return trace === undefined ? {} : { trace_id: trace.traceId, span_id: trace.spanId };
}

/**
 * The context that came with a request. null: none, or none that is valid; then `parseBaggage` may still
 * give what has to go with the new trace.
 */
export function parseTraceContext(carrier: TraceCarrier): TraceContext | null {
  const { traceparent } = carrier;
  // Two of them contradict each other, and there is no right one.
  const text = typeof traceparent === 'string' ? traceparent : onlyOne(traceparent);
  if (text === undefined) return null;
  const [, version, traceId = '', spanId = '', flags = '', rest] =
    TRACEPARENT.exec(trimmed(text)) ?? [];
  if (version === undefined || version === 'ff') return null;
  if (version === '00' && rest !== undefined) return null;
  if (traceId === TRACE_ID_ZERO || spanId === SPAN_ID_ZERO) return null;
  return {
    traceId,
    spanId,
    parentId: '',
    flags: Number.parseInt(flags, 16) & (SAMPLED | RANDOM),
    state: parseTraceState(carrier.tracestate),
    baggage: parseBaggage(carrier.baggage),
  };
}

/** A valid tracestate of at most `STATE_LENGTH_MAX` characters; '' for none, or for one that is not valid. */
export function parseTraceState(text: string | readonly string[] | undefined): string {
  if (text === undefined || text.length === 0) return '';
  const members: string[] = [];
  const keys = new Set<string>();
  for (const part of membersOf(text)) {
    if (part === '') continue;
    if (!STATE_MEMBER.test(part)) return '';
    const key = part.slice(0, part.indexOf('='));
    if (keys.has(key)) continue;
    if (keys.size === STATE_MEMBERS_MAX) return '';
    keys.add(key);
    members.push(part);
  }
  return shortenedState(members);
}

/** Long members go first, then those at the end, which are the oldest. */
function shortenedState(members: readonly string[]): string {
  const whole = members.join(',');
  if (whole.length <= STATE_LENGTH_MAX) return whole;
  const kept = members.filter((member) => member.length <= STATE_LONG_MEMBER);
  while (kept.join(',').length > STATE_LENGTH_MAX) kept.pop();
  return kept.join(',');
}

/** The valid members of a baggage, in their order, within its bounds; '' for none. */
export function parseBaggage(text: string | readonly string[] | undefined): string {
  if (text === undefined || text.length === 0) return '';
  let kept = '';
  let count = 0;
  for (const part of membersOf(text)) {
    if (!BAGGAGE_MEMBER.test(part)) continue;
    const longer = kept === '' ? part : `${kept},${part}`;
    if (count === BAGGAGE_MEMBERS_MAX || longer.length > BAGGAGE_LENGTH_MAX) break;
    kept = longer;
    count += 1;
  }
  return kept;
}

/** A context for what happens below `parent`: the same trace, a span id of its own. */
export function childContext(parent: TraceContext, high: number, low: number): TraceContext {
  const { traceId, spanId, flags, state, baggage } = parent;
  return { traceId, spanId: spanIdOf(high, low), parentId: spanId, flags, state, baggage };
}

/** The first context of a new trace. `words`: six random 32-bit integers, of which not all are zero. */
export function newTrace(
  words: ArrayLike<number>,
  options: { readonly sampled: 'yes' | 'no'; readonly baggage?: string },
): TraceContext {
  const [a = 0, b = 0, c = 0, d = 0, high = 0, low = 0] = Array.from(words);
  const traceId = hexWord(a) + hexWord(b) + hexWord(c) + hexWord(d);
  return {
    // An id of zeros is not allowed. As likely as two equal ones, and as harmless.
    traceId: traceId === TRACE_ID_ZERO ? `${'0'.repeat(31)}1` : traceId,
    spanId: spanIdOf(high, low),
    parentId: '',
    flags: RANDOM | (options.sampled === 'yes' ? SAMPLED : 0),
    state: '',
    baggage: options.baggage ?? '',
  };
}

/** 16 hexadecimal digits of two 32-bit integers; never all zero. */
export function spanIdOf(high: number, low: number): string {
  return high === 0 && low === 0 ? `${'0'.repeat(15)}1` : hexWord(high) + hexWord(low);
}

export function isSampled(context: TraceContext): boolean {
  return (context.flags & SAMPLED) !== 0;
}

/** Of version 00, whatever version came in: we know what that one means. */
export function formatTraceparent(context: TraceContext): string {
  return `00-${context.traceId}-${context.spanId}-0${context.flags.toString(16)}`;
}

/** Headers, fields of `_meta`: only what is there. */
export function traceFields(context: TraceContext): Record<string, string> {
  const fields: Record<string, string> = { traceparent: formatTraceparent(context) };
  if (context.state !== '') fields.tracestate = context.state;
  if (context.baggage !== '') fields.baggage = context.baggage;
  return fields;
}

/** The same for a child process. Source: OpenTelemetry, environment variables as carrier. */
export function traceVariables(context: TraceContext): Record<string, string> {
  const fields = traceFields(context);
  return Object.fromEntries(Object.entries(fields).map(([key, text]) => [key.toUpperCase(), text]));
}

/** Fields of an object that anybody made, by the names of the headers: `_meta` of MCP, a hook's payload. */
export function parseTraceFields(fields: unknown): TraceContext | undefined {
  if (typeof fields !== 'object' || fields === null) return undefined;
  const given = fields as Readonly<Record<string, unknown>>;
  const text = (name: string): string | undefined =>
    typeof given[name] === 'string' ? given[name] : undefined;
  const [traceparent, tracestate, baggage] = ['traceparent', 'tracestate', 'baggage'].map(text);
  return parseTraceContext({ traceparent, tracestate, baggage }) ?? undefined;
}

export const TRACE_VARIABLES = ['TRACEPARENT', 'TRACESTATE', 'BAGGAGE'] as const;

/** What a process was started with. */
export function parseTraceVariables(
  env: Readonly<Record<string, string | undefined>>,
): TraceContext | null {
  const { TRACEPARENT: traceparent, TRACESTATE: tracestate, BAGGAGE: baggage } = env;
  return parseTraceContext({ traceparent, tracestate, baggage });
}

function onlyOne(texts: readonly string[] | undefined): string | undefined {
  return texts?.length === 1 ? texts[0] : undefined;
}

/** Several headers of one name are one list; only blanks and tabs lie around its members. */
function membersOf(text: string | readonly string[]): readonly string[] {
  const joined = typeof text === 'string' ? text : text.join(',');
  return joined.split(',').map(trimmed);
}

function trimmed(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from += 1;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function hexWord(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
