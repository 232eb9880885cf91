/**
 * What a grouped catalog and its writer's thread say to each other.
 *
 * A group is one message: its writes as texts, in order. The answer names the group and what failed; the
 * number of the last group that has landed also stands in shared memory, so that a thread that blocks
 * can wait for it. Groups land in the order of their numbers.
 */
import type { MessagePort } from 'node:worker_threads';
import { type ErrorCode, type ErrorData, GhostsnapError } from '../core/errors.ts';
import type { WorkspaceId } from '../core/ids.ts';
import type { Catalog } from '../engine/ports.ts';

export interface WriterSetup {
  /** Of the catalog; it exists. */
  readonly file: string;
  readonly port: MessagePort;
  /** One Int32: the number of the last group that has landed; CLOSED at the end. */
  readonly landed: SharedArrayBuffer;
}

/** In place of a group's number: the writer has closed its connection. */
export const CLOSED = -1;

export interface GroupMessage {
  readonly group: number;
  readonly durability: Parameters<Catalog['commit']>[3];
  /** Each a `CatalogWrite` as JSON. */
  readonly writes: readonly string[];
  /**
   * Whose failure was told since the last group. Until then the writer refuses what else comes for such a
   * workspace: it was decided on a state that never was, and might follow by chance.
   */
  readonly told: readonly WorkspaceId[];
}

export type ToWriter = GroupMessage | 'close';

export interface WriteFailure {
  /** Which of the group's writes. */
  readonly index: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
  readonly data: ErrorData;
}

export interface LandedMessage {
  readonly group: number;
  readonly failures: readonly WriteFailure[];
}

export function encodeFailure(index: number, error: GhostsnapError): WriteFailure {
  const { code, message, hint, data } = error;
  return { index, code, message, hint, data };
}

export function decodeFailure(failure: WriteFailure): GhostsnapError {
  const { code, message, hint, data } = failure;
  return new GhostsnapError(code, message, { data, ...(hint === undefined ? {} : { hint }) });
}
