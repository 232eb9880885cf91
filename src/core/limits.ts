/**
 * Every bound, with its unit and its reason, in one place.
 */

/** Bytes (UTF-8) of a label: what a terminal line shows, with room. */
export const LABEL_BYTES_MAX = 1024;

/** Bytes of a tool name, session id or call id: the longest seen in practice are below 100. */
export const NAME_BYTES_MAX = 256;

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
