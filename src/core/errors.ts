/**
 * The one error class and its codes.
 *
 * A code names what happened, its kind says what a caller may do about it. The table below is the
 * only place that maps a kind to an HTTP status, an exit status and "does a retry make sense".
 * Expected conflicts leave the core as values; adapters throw; conversion happens at the edge.
 */

export type ErrorKind =
  | 'usage'
  | 'not-found'
  | 'conflict'
  | 'denied'
  | 'limit'
  | 'throttled'
  | 'unsupported'
  | 'transient'
  | 'corrupt'
  | 'io';

/** What a kind means to the outside: HTTP status (RFC 9457), sysexits(3) code, retry or not. */
export const ERROR_KINDS: Readonly<
  Record<ErrorKind, { httpStatus: number; exitCode: number; retryable: boolean }>
> = {
  usage: { httpStatus: 400, exitCode: 64, retryable: false },
  'not-found': { httpStatus: 404, exitCode: 66, retryable: false },
  conflict: { httpStatus: 409, exitCode: 75, retryable: false },
  denied: { httpStatus: 403, exitCode: 77, retryable: false },
  limit: { httpStatus: 507, exitCode: 73, retryable: false },
  throttled: { httpStatus: 429, exitCode: 75, retryable: true },
  unsupported: { httpStatus: 501, exitCode: 69, retryable: false },
  transient: { httpStatus: 503, exitCode: 75, retryable: true },
  corrupt: { httpStatus: 500, exitCode: 65, retryable: false },
  io: { httpStatus: 500, exitCode: 74, retryable: false },
};

/** Every error code and its kind. Adding one: a line here, a line in SPEC.md, a test. */
export const ERROR_CODES = {
  BAD_ARGUMENT: 'usage',
  BAD_ID: 'usage',
  BAD_CONFIG: 'usage',
  PATH_OUTSIDE: 'usage',
  AMBIGUOUS_ID: 'usage',
  CONFIRMATION_NEEDED: 'usage',
  ROUTE_NOT_FOUND: 'not-found',
  WORKSPACE_NOT_FOUND: 'not-found',
  SNAPSHOT_NOT_FOUND: 'not-found',
  POOL_NOT_FOUND: 'not-found',
  PATH_NOT_IN_SNAPSHOT: 'not-found',
  CALL_NOT_FOUND: 'not-found',
  NOTHING_TO_UNDO: 'not-found',
  NOTHING_TO_REDO: 'not-found',
  WORKSPACE_EXISTS: 'conflict',
  WORKSPACE_GONE: 'conflict',
  WORKSPACE_REPLACED: 'conflict',
  WORKSPACE_BUSY: 'conflict',
  WORKSPACE_DESTROYED: 'conflict',
  WORKSPACE_NESTED: 'conflict',
  POOL_EXISTS: 'conflict',
  POOL_IN_USE: 'conflict',
  POOL_INSIDE_WORKSPACE: 'conflict',
  OPERATION_IN_FLIGHT: 'conflict',
  SNAPSHOT_PINNED: 'conflict',
  SNAPSHOT_NEEDED: 'conflict',
  TREE_CHANGED: 'conflict',
  TARGET_EXISTS: 'conflict',
  MERGE_CONFLICT: 'conflict',
  IDEMPOTENCY_CONFLICT: 'conflict',
  DANGEROUS_WORKSPACE: 'denied',
  TARGET_PROTECTED: 'denied',
  NOT_PERMITTED: 'denied',
  NEEDS_ROOT: 'denied',
  POOL_FULL: 'limit',
  LIMIT_EXCEEDED: 'limit',
  QUOTA_EXCEEDED: 'limit',
  TOO_MANY_REQUESTS: 'throttled',
  UNSUPPORTED_FILESYSTEM: 'unsupported',
  UNSUPPORTED_PLATFORM: 'unsupported',
  UNSUPPORTED_MODE: 'unsupported',
  MISSING_TOOL: 'unsupported',
  SWAP_FILE_ACTIVE: 'unsupported',
  POOL_NOT_MOUNTED: 'unsupported',
  LOCKED: 'transient',
  INTERRUPTED: 'transient',
  DEADLINE_EXCEEDED: 'transient',
  OVERLOADED: 'transient',
  STOPPING: 'transient',
  UNREACHABLE: 'transient',
  FORMAT_TOO_NEW: 'corrupt',
  FORMAT_UNKNOWN: 'corrupt',
  CATALOG_CORRUPT: 'corrupt',
  LEDGER_CORRUPT: 'corrupt',
  SNAPSHOT_CORRUPT: 'corrupt',
  VERIFY_FAILED: 'corrupt',
  CAPTURE_FAILED: 'io',
  RESTORE_FAILED: 'io',
  IO: 'io',
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Plain values that name what the error is about: paths for display, ids, errno names, sizes. */
export type ErrorData = Readonly<Record<string, string | number | boolean | readonly string[]>>;

export interface ErrorOptions {
  readonly data?: ErrorData;
  /** What to do next, in the imperative, one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** The only error this package throws on purpose. Anything else that escapes is a bug. */
export class GhostsnapError extends Error {
  override readonly name = 'GhostsnapError';
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly data: ErrorData;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kind = ERROR_CODES[code];
    this.data = options.data ?? {};
    this.hint = options.hint;
  }

  /** The stable JSON form: `{code, kind, message, hint?, data}`. */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      kind: this.kind,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      data: this.data,
    };
  }
}

/** A failed assertion is a bug in this program: it crashes, nobody catches it. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Error(`Invariant violated: ${invariant}.`);
}
