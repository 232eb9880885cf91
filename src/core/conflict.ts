/** Why a command cannot be taken now: a value, which the engine turns into an error. */
import type { ErrorCode } from './errors.ts';

export interface Conflict {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}
