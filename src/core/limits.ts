/**
 * Every bound, with its unit and its reason, in one place.
 */

/** Bytes (UTF-8) of a label: what a terminal line shows, with room. */
export const LABEL_BYTES_MAX = 1024;

/** Bytes of a tool name, session id or call id: the longest seen in practice are below 100. */
export const NAME_BYTES_MAX = 256;

/** Bytes (UTF-8) of what is kept of a prompt: enough to know it again, not a second transcript. */
export const PROMPT_BYTES_MAX = 1024;

/** Bytes (UTF-8) of what is kept of a tool's input, after redaction: a command line, not a file's content. */
export const CALL_INPUT_BYTES_MAX = 1024;

/** Bytes of why a call went without a snapshot. */
export const UNPROTECTED_BYTES_MAX = 512;

/**
 * Tool calls of one workspace that have begun and not ended. They are part of the state, so it is
 * bounded: past it the oldest counts as ended with an unknown outcome.
 */
export const CALLS_IN_FLIGHT_MAX = 64;

/** Snapshots kept in one workspace. Past it, snapshotting fails instead of slowing everything down. */
export const SNAPSHOTS_PER_WORKSPACE_MAX = 100_000;

/** Milliseconds a command waits for another process before it says who holds the lock. */
export const LOCK_WAIT_MS = 30_000;

/** Ids in one deletion event: an event stays below 64 KiB. */
export const DELETE_BATCH_MAX = 1000;

/** Changes held in memory to find renames (about 20 MB); a longer diff is shown without them. */
export const RENAME_DETECTION_CHANGES_MAX = 20_000;

/** Bytes, one side, read to prove renames where inode numbers are missing: a second's work. */
export const RENAME_CONTENT_BYTES_MAX = 67_108_864;

/** Bytes of a file, each side, that a line diff still compares; longer ones are only named. */
export const LINE_DIFF_BYTES_MAX = 1_048_576;

/** Differing lines after which a line diff gives up on a file: its cost grows with their square. */
export const LINE_DIFF_EDITS_MAX = 5000;

/** Bytes at the start of a file in which a NUL means that it is binary. */
export const BINARY_PROBE_BYTES = 8192;
