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

/** Characters of a tracestate or a baggage that an event keeps: what the specification asks at least. */
export const EVENT_TRACE_FIELD_MAX = 512;

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

/** Seconds that a harness is told to wait for a hook: a first snapshot of a large tree takes a while. */
export const HOOK_TIMEOUT_S = 120;

/** Milliseconds that whoever brings a hook's payload waits for the daemon; who takes longer is stuck. */
export const HOOK_REPLY_MS = 110_000;

/**
 * Milliseconds until a hook answers whatever has been done by then. A harness that has waited HOOK_TIMEOUT_S runs
 * the tool, so the answer that it must not has to be there before.
 */
export const HOOK_ANSWER_MS = 100_000;

/** Ids in one deletion event: an event stays below 64 KiB. */
export const DELETE_BATCH_MAX = 1000;

/** Milliseconds that one lot of a deletion may have the workspace: a tool call's snapshot waits as long. */
export const DELETE_HOLD_MS = 5;

/** Snapshots of the smallest lot: below it the records of lots cost more than the deletions. */
export const DELETE_LOT_MIN = 4;

/**
 * Snapshots that lots delete before their room is taken back. Btrfs then works about a millisecond for each, which
 * a snapshot that is taken just then waits for: rather a few of them a little than one for all.
 */
export const DELETE_ROOM_EVERY = 16;

/** Changes held in memory to find renames (about 20 MB); a longer diff is shown without them. */
export const RENAME_DETECTION_CHANGES_MAX = 20_000;

/** Bytes, one side, read to prove renames where inode numbers are missing: a second's work. */
export const RENAME_CONTENT_BYTES_MAX = 67_108_864;

/** Bytes of a file, each side, that a line diff still compares; longer ones are only named. */
export const LINE_DIFF_BYTES_MAX = 1_048_576;

/** Differing lines after which a line diff gives up on a file: its cost grows with their square. */
export const LINE_DIFF_EDITS_MAX = 5000;

/** Paths of one tool call that are held to take it back alone (about 100 MB). */
export const UNDO_CALL_PATHS_MAX = 200_000;

/** Paths that the event of a turn names; more are the whole tree: an event stays below 64 KiB. */
export const TURN_PATHS_MAX = 256;

/** Lines of the three versions of a file that are merged: a library keeps them all as strings. */
export const MERGE_LINES_MAX = 150_000;

/** Steps that comparing the versions of one file may take, estimated from above: about a second. */
export const MERGE_WORK_MAX = 500_000_000;

/** Bytes of merged files that one operation holds until they are written. */
export const MERGED_BYTES_MAX = 67_108_864;

/** Bytes at the start of a file in which a NUL means that it is binary. */
export const BINARY_PROBE_BYTES = 8192;

/** Paths that one finding of a policy names: what a message still shows. */
export const POLICY_PATHS_NAMED_MAX = 5;

/** Files without a partner that are remembered to tell a move from a deletion (about 2 MB). */
export const POLICY_MOVES_TRACKED_MAX = 20_000;

/** Rules that one policy file may hold, and patterns that one rule may: each is tried on each change. */
export const POLICY_RULES_MAX = 64;
export const POLICY_PATTERNS_MAX = 256;

/** Findings of one call that its event keeps. */
export const POLICY_FINDINGS_KEPT_MAX = 16;

/** Bytes of one path pattern. */
export const POLICY_PATTERN_BYTES_MAX = 512;

/** Bytes of a policy file that are read: a file beyond it is refused, not cut. */
export const POLICY_FILE_BYTES_MAX = 65_536;

/**
 * Bytes of one message of an MCP client, which is held until it is known whether it calls a tool. A
 * server's messages flow through unheld, whatever their size.
 */
export const MCP_MESSAGE_BYTES_MAX = 134_217_728;

/** Bytes of an answer to `tools/list` from which a proxy still learns. */
export const MCP_TOOLS_LIST_BYTES_MAX = 8_388_608;

/**
 * Bytes of an answer that a proxy holds while its call is judged, so that what the policy says can be put
 * into it. A longer one flows through, and the message follows it.
 */
export const MCP_RESULT_HELD_MAX = 1_048_576;

/** Requests whose answers an MCP proxy waits for; past it the oldest is not waited for any more. */
export const MCP_PENDING_MAX = 4096;

/** Milliseconds that a person may take to answer a question of the MCP server. */
export const MCP_ANSWER_WAIT_MS = 600_000;

/** Bytes of a request to the MCP server over HTTP: its largest, paths to restore, stays far below. */
export const MCP_BODY_BYTES_MAX = 1_048_576;

/** Sessions that the MCP server keeps over HTTP; past it the one that was quiet longest is ended. */
export const MCP_SESSIONS_MAX = 64;

/** Entries of one page of an API answer: some hundred KiB of JSON at most. */
export const API_PAGE_MAX = 1000;

/** Characters of a cursor: base64url of the longest path a page may end at, with room. */
export const API_CURSOR_LENGTH_MAX = 24_576;

/** Bytes of a file in one answer of the API; in base64 they are a third more. */
export const CONTENT_BYTES_MAX = 262_144;

/** Paths that one diff may be limited to: each is looked for on its own. */
export const DIFF_PATHS_MAX = 256;

/** Snapshots that one request names to be deleted: their names fit its body. */
export const PRUNE_SNAPSHOTS_MAX = 256;

/** Paths that one restore names; more are the whole tree's rollback. */
export const RESTORE_PATHS_MAX = 256;

/** Bytes of one frame on a stream of the service: a request's body and what a request has in its head. */
export const FRAME_BYTES_MAX = 69_632;

/** Frames of one stream that are under way: as many as an HTTP/2 connection has requests. */
export const FRAMES_IN_FLIGHT_MAX = 256;

/** Characters of the key under which a frame may be repeated. */
export const FRAME_KEY_LENGTH_MAX = 255;

/** Milliseconds that a frame may say somebody waits: a day; longer is a mistake. */
export const FRAME_DEADLINE_MS_MAX = 86_400_000;

/** Characters of an idempotency key: a UUID with a prefix, with room. */
export const IDEMPOTENCY_KEY_LENGTH_MAX = 255;

/** Requests of one workspace that wait or are under way; an agent asks one after the other. */
export const WORKSPACE_REQUESTS_MAX = 32;

/** A bisect that nobody has taken a step of for so long keeps no snapshots from retention: a week. */
export const BISECT_KEPT_MS = 604_800_000;
