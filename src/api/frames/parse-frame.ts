/**
 * A frame: one question on a long-lived stream, as one line of JSON.
 *
 *   {"id":7,"operation":"beginCall","key":"...","deadlineMs":2000,"trace":"00-...","input":{...}}
 *
 * The same limits as a request's: bytes, depth, no ambiguous JSON, no unknown fields. The input is the
 * operation's whole input, with what HTTP has in the path; whoever answers parses it.
 */
import { GhostsnapError } from '../../core/errors.ts';
import { FRAME_BYTES_MAX, FRAME_DEADLINE_MS_MAX, FRAME_KEY_LENGTH_MAX } from '../../core/limits.ts';
import { type JsonBounds, parseStrictJson, REQUEST_BODY } from '../door/strict-json.ts';

export interface Frame {
  /** The sender's own number; the answer has the same. */
  readonly id: number;
  readonly operation: string;
  readonly key: string | undefined;
  /** Milliseconds that somebody waits, from the arrival of the frame. */
  readonly deadlineMs: number | undefined;
  /** A `traceparent`, as it came. */
  readonly trace: string | undefined;
  /** Parsed JSON from outside, nothing more. */
  readonly input: unknown;
}

/** A frame that can't be answered under its number. */
export class FrameRefusal {
  /** null: the line has no usable one. */
  readonly id: number | null;
  readonly error: GhostsnapError;

  constructor(id: number | null, error: GhostsnapError) {
    this.id = id;
    this.error = error;
  }
}

/** The envelope adds a level and a few fields to what a request's body may be. */
export const FRAME_BOUNDS: JsonBounds = {
  ...REQUEST_BODY,
  bytesMax: FRAME_BYTES_MAX,
  depthMax: REQUEST_BODY.depthMax + 1,
};

const FIELDS: ReadonlySet<string> = new Set([
  'id',
  'operation',
  'key',
  'deadlineMs',
  'trace',
  'input',
] satisfies (keyof Frame)[]);

const HINT = 'SPEC.md, "Frames", says what a frame looks like.';

/** Never throws. */
export function parseFrame(line: Uint8Array): Frame | FrameRefusal {
  let value: unknown;
  try {
    value = parseStrictJson(line, FRAME_BOUNDS, { subject: 'The frame', hint: HINT });
  } catch (error) {
    if (error instanceof GhostsnapError) return new FrameRefusal(null, error);
    throw error;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new FrameRefusal(null, wrong('it is not an object'));
  }
  const { id, operation, key, deadlineMs, trace, input } = value as Readonly<
    Record<string, unknown>
  >;
  if (!isCount(id)) return new FrameRefusal(null, wrong('its id is not a whole number'));
  const unknown = Object.keys(value).find((field) => !FIELDS.has(field));
  if (unknown !== undefined) return new FrameRefusal(id, wrong('it has an unknown field'));
  if (typeof operation !== 'string') return new FrameRefusal(id, wrong('it has no operation'));
  if (!isText(key, FRAME_KEY_LENGTH_MAX)) return new FrameRefusal(id, wrong('its key is wrong'));
  if (deadlineMs !== undefined && !(isCount(deadlineMs) && deadlineMs <= FRAME_DEADLINE_MS_MAX)) {
    return new FrameRefusal(id, wrong('its deadline is wrong'));
  }
  if (!isText(trace, TRACE_LENGTH_MAX)) return new FrameRefusal(id, wrong('its trace is wrong'));
  return { id, operation, key, deadlineMs, trace, input };
}

/** A traceparent of version 00 has 55 characters; later ones may be longer. */
const TRACE_LENGTH_MAX = 256;

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isText(value: unknown, lengthMax: number): value is string | undefined {
  if (value === undefined) return true;
  return typeof value === 'string' && value.length > 0 && value.length <= lengthMax;
}

function wrong(why: string): GhostsnapError {
  return new GhostsnapError('BAD_ARGUMENT', `The frame was refused: ${why}.`, { hint: HINT });
}
