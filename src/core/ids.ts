/**
 * Identifiers.
 *
 * Every id is `<prefix>_<ulid>`: 48 bits of milliseconds and 80 bits of randomness in Crockford's
 * base 32, so the text order is the time order. The core never asks a clock or a source of
 * randomness: both are passed in, with the id before, and the next id is always greater than it,
 * within one millisecond and also when the clock steps back.
 *
 * Source: https://github.com/ulid/spec (binary layout and monotonicity).
 */
import { assert, GhostsnapError } from './errors.ts';

export type Ulid = string & { readonly __ulid: true };
export type SnapshotId = `ghost_${string}` & { readonly __snapshot: true };
export type WorkspaceId = `ws_${string}` & { readonly __workspace: true };
export type OperationId = `op_${string}` & { readonly __operation: true };
export type PoolId = `pool_${string}` & { readonly __pool: true };
export type CallId = `call_${string}` & { readonly __call: true };
export type PromptId = `prompt_${string}` & { readonly __prompt: true };

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const ULID_PATTERN = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const TIME_LENGTH = 10;
const ULID_LENGTH = 26;
const TIME_MAX_MS = 2 ** 48 - 1;

/** Ten bytes of randomness, one id's worth. */
export const ULID_RANDOM_BYTES = 10;

/**
 * The next ULID after `previous` ('' when there is none).
 * @param nowMs milliseconds since the epoch, 0 to 2^48-1
 * @param random ULID_RANDOM_BYTES bytes, used when the millisecond is new
 */
export function nextUlid(previous: Ulid | '', nowMs: number, random: Uint8Array): Ulid {
  assert(Number.isInteger(nowMs) && nowMs >= 0 && nowMs <= TIME_MAX_MS, 'ULID time in range');
  assert(random.length === ULID_RANDOM_BYTES, 'ULID randomness has 10 bytes');
  if (previous !== '' && nowMs <= ulidTimeMs(previous)) return incremented(previous);
  return encode(nowMs, random);
}

/** The milliseconds since the epoch that a ULID carries. */
export function ulidTimeMs(ulid: Ulid): number {
  let ms = 0;
  for (let i = 0; i < TIME_LENGTH; i += 1) ms = ms * 32 + ALPHABET.indexOf(ulid.charAt(i));
  return ms;
}

export function snapshotId(ulid: Ulid): SnapshotId {
  return `ghost_${ulid}` as SnapshotId;
}

export function operationId(ulid: Ulid): OperationId {
  return `op_${ulid}` as OperationId;
}

export function workspaceId(ulid: Ulid): WorkspaceId {
  return `ws_${ulid}` as WorkspaceId;
}

export function poolId(ulid: Ulid): PoolId {
  return `pool_${ulid}` as PoolId;
}

export function callId(ulid: Ulid): CallId {
  return `call_${ulid}` as CallId;
}

export function promptId(ulid: Ulid): PromptId {
  return `prompt_${ulid}` as PromptId;
}

type AnyId = SnapshotId | WorkspaceId | OperationId | PoolId | CallId | PromptId;

/** The ULID part of any id. */
export function ulidOf(id: AnyId): Ulid {
  return id.slice(id.indexOf('_') + 1) as Ulid;
}

export function isSnapshotId(text: string): text is SnapshotId {
  return text.startsWith('ghost_') && ULID_PATTERN.test(text.slice(6));
}

export function isCallId(text: string): text is CallId {
  return text.startsWith('call_') && ULID_PATTERN.test(text.slice(5));
}

export function isWorkspaceId(text: string): text is WorkspaceId {
  return text.startsWith('ws_') && ULID_PATTERN.test(text.slice(3));
}

/** @throws GhostsnapError BAD_ID */
export function parseSnapshotId(text: string): SnapshotId {
  if (isSnapshotId(text)) return text;
  throw new GhostsnapError('BAD_ID', `${JSON.stringify(text)} is not a snapshot id`, {
    hint: 'Snapshot ids look like ghost_01J9Z3K4M5N6P7Q8R9S0T1V2W3; list them with "ghostsnap log".',
  });
}

function incremented(previous: Ulid): Ulid {
  for (let i = 0; i < ULID_LENGTH; i += 1) characters[i] = previous.charCodeAt(i);
  for (let i = ULID_LENGTH - 1; i >= 0; i -= 1) {
    const value = ALPHABET.indexOf(previous.charAt(i));
    if (value < 31) {
      characters[i] = ALPHABET.charCodeAt(value + 1);
      return String.fromCharCode(...characters) as Ulid;
    }
    // A carry that leaves the random part moves into the time: still greater, a millisecond early.
    characters[i] = ALPHABET.charCodeAt(0);
  }
  return assertUnreachable();
}

function assertUnreachable(): never {
  throw new Error('Invariant violated: ULID space exhausted.');
}

/**
 * The ULID under construction, as character codes: made into a text in one step. Built up by appending
 * it would be a chain of pieces that stay in memory as long as the id does.
 */
const characters = new Array<number>(ULID_LENGTH).fill(0);

function encode(nowMs: number, random: Uint8Array): Ulid {
  let rest = nowMs;
  for (let i = TIME_LENGTH - 1; i >= 0; i -= 1) {
    characters[i] = ALPHABET.charCodeAt(rest % 32);
    rest = Math.floor(rest / 32);
  }
  let at = TIME_LENGTH;
  let bits = 0;
  let held = 0;
  for (const byte of random) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      characters[at] = ALPHABET.charCodeAt((held >> bits) & 31);
      at += 1;
    }
    held &= (1 << bits) - 1;
  }
  assert(at === ULID_LENGTH, 'ULID time and randomness fill 26 characters');
  return String.fromCharCode(...characters) as Ulid;
}
