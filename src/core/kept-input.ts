/**
 * What is kept of a tool's input and of a prompt: redacted, bounded, one line.
 *
 * An input may be a whole file; the log needs to know what was run, not to be a second copy of it. The
 * order matters: a text is cut far beyond what is kept, redacted, and only then cut to its final length,
 * so that no half of a secret is left standing at a cut.
 */
import { CALL_INPUT_BYTES_MAX, PROMPT_BYTES_MAX } from './limits.ts';
import { rawFromText } from './raw-path.ts';
import {
  isHarmlessField,
  isSecretName,
  namesEnvFile,
  REDACTED,
  redactAssignments,
  redactText,
} from './redaction.ts';

export type Redaction = 'on' | 'off';

/** What of a text is looked at before it is cut; rules match within this. */
const LOOKED_AT_LENGTH = 8192;
/** The end of a text that was cut may hold the beginning of a secret: it is never kept. */
const UNSURE_LENGTH = 512;
const CUT = '…';

interface Bounds {
  readonly textLength: number;
  readonly items: number;
  readonly depth: number;
}

/** Tried in order; the first that fits is kept. */
const BOUNDS: readonly Bounds[] = [
  { textLength: 900, items: 24, depth: 4 },
  { textLength: 300, items: 16, depth: 4 },
  { textLength: 120, items: 8, depth: 3 },
  { textLength: 40, items: 4, depth: 2 },
];
const TOO_LARGE = JSON.stringify(CUT);

/**
 * JSON of the input, at most CALL_INPUT_BYTES_MAX bytes, always parseable, without line breaks.
 * @param input any value; what JSON does not know becomes null
 */
export function keptInput(input: unknown, redaction: Redaction): string {
  for (const bounds of BOUNDS) {
    const isEnv = redaction === 'on' && mentionsEnvFile(input, bounds.depth);
    const writer = { bounds, redaction, isEnv };
    const text = JSON.stringify(shrink(input, writer, 0)) ?? 'null';
    if (byteLength(text) <= CALL_INPUT_BYTES_MAX) return text;
  }
  return TOO_LARGE;
}

/** One line, at most PROMPT_BYTES_MAX bytes. */
export function keptPrompt(text: string, redaction: Redaction): string {
  const kept = keptText(text, { redaction, isEnv: namesEnvFile(text.slice(0, LOOKED_AT_LENGTH)) });
  return cutToBytes(oneLine(kept).trim(), PROMPT_BYTES_MAX);
}

/** One line of at most `bytesMax` bytes; nothing is redacted. */
export function keptLine(text: string, bytesMax: number): string {
  return cutToBytes(oneLine(text).trim(), bytesMax);
}

interface Writer {
  readonly bounds: Bounds;
  readonly redaction: Redaction;
  readonly isEnv: boolean;
}

function shrink(value: unknown, writer: Writer, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return cut(keptText(value, writer), writer.bounds.textLength);
    case 'number':
    case 'boolean':
      return value;
    case 'bigint':
      return cut(value.toString(), writer.bounds.textLength);
    case 'object':
      break;
    default:
      return null;
  }
  if (value === null) return null;
  if (depth >= writer.bounds.depth) return CUT;
  return Array.isArray(value)
    ? shrinkArray(value, writer, depth)
    : shrinkFields(value as Record<string, unknown>, writer, depth);
}

function shrinkArray(value: readonly unknown[], writer: Writer, depth: number): unknown[] {
  const { items } = writer.bounds;
  const kept = value.slice(0, items).map((item) => shrink(item, writer, depth + 1));
  return value.length > items ? [...kept, CUT] : kept;
}

/** fromEntries defines properties, so that a field named `__proto__` stays a field. */
function shrinkFields(
  value: Readonly<Record<string, unknown>>,
  writer: Writer,
  depth: number,
): Record<string, unknown> {
  const { items, textLength } = writer.bounds;
  const keys = Object.keys(value);
  const kept = keys.slice(0, items).map((key): [string, unknown] => {
    const field = value[key];
    const isSecret = writer.redaction === 'on' && isSecretName(key) && !isHarmlessField(key, field);
    const name = cut(keptText(key, writer), Math.min(64, textLength));
    return [name, isSecret ? REDACTED : shrink(field, writer, depth + 1)];
  });
  if (keys.length > items) kept.push([CUT, keys.length - items]);
  return Object.fromEntries(kept);
}

function keptText(text: string, how: Pick<Writer, 'redaction' | 'isEnv'>): string {
  const isLong = text.length > LOOKED_AT_LENGTH;
  const looked = isLong ? text.slice(0, LOOKED_AT_LENGTH) : text;
  if (how.redaction === 'off') return isLong ? `${looked}${CUT}` : looked;
  const redacted = redactText(how.isEnv ? redactAssignments(looked) : looked);
  return isLong
    ? `${redacted.slice(0, Math.max(0, redacted.length - UNSURE_LENGTH))}${CUT}`
    : redacted;
}

function mentionsEnvFile(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return namesEnvFile(value.slice(0, LOOKED_AT_LENGTH));
  if (typeof value !== 'object' || value === null || depth === 0) return false;
  return Object.values(value).some((field) => mentionsEnvFile(field, depth - 1));
}

function oneLine(text: string): string {
  let line = '';
  for (const character of text) {
    const code = character.charCodeAt(0);
    const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
    line += isControl ? ' ' : character;
  }
  return line;
}

/** At most `length` UTF-16 units, the mark of the cut included; a pair is not split. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const end = isHighSurrogate(text, length - 2) ? length - 2 : length - 1;
  return text.slice(0, end) + CUT;
}

function cutToBytes(text: string, bytesMax: number): string {
  if (byteLength(text) <= bytesMax) return text;
  let kept = '';
  let bytes = byteLength(CUT);
  for (const character of text) {
    bytes += byteLength(character);
    if (bytes > bytesMax) break;
    kept += character;
  }
  return kept + CUT;
}

function isHighSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0xd800 && code < 0xdc00;
}

function byteLength(text: string): number {
  return rawFromText(text).length;
}
