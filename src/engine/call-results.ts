/**
 * What the public API takes and gives about agents: sessions, prompts, tool calls. Plain values.
 */
import type { UncoveredPath } from '../backend/backend.ts';
import type { CallChanges, CallJudgement, CallOutcome } from '../core/event.ts';
import type { CallId, PromptId, SnapshotId } from '../core/ids.ts';
import type { Redaction } from '../core/kept-input.ts';
import type { TraceContext } from '../core/trace-context.ts';

export type { CallChanges, CallJudgement, CallOutcome };

/** Names a session of an agent; it is recorded when it is first seen. */
export interface SessionRequest {
  /** The harness's own id, at most 256 bytes of plain text. */
  readonly session: string;
  /** 'claude-code', 'gemini-cli', 'mcp', ... */
  readonly harness: string;
  /** The session whose agent started this one. */
  readonly parentSession?: string | null;
  /** Of the request that this is part of. */
  readonly trace?: TraceContext | undefined;
}

export interface PromptRequest extends SessionRequest {
  readonly text: string;
  readonly redaction?: Redaction;
}

export interface BeginCallRequest extends SessionRequest {
  readonly tool: string;
  /** Any JSON value; kept redacted and bounded. */
  readonly input?: unknown;
  /** The harness's id of the call, or a name made up from tool and input. */
  readonly key: string;
  /**
   * 'unique' (default): a call in flight with the same session and key is this call, reported twice.
   * 'derived': equal keys are different calls; an end goes to the oldest.
   */
  readonly keyKind?: 'unique' | 'derived';
  /** 'yes': the tool changes nothing; the call shares its predecessor's snapshot. Default 'no'. */
  readonly readOnly?: 'yes' | 'no';
  /**
   * Tools that run beside no other one of a session: a call of one that is in flight still ended without a
   * report, and ends as 'unknown'. Default: none.
   */
  readonly runsAlone?: ReadonlySet<string>;
  /** 'block' (default): throws when no snapshot could be taken. 'warn': records why and goes on. */
  readonly onSnapshotFailure?: 'block' | 'warn';
  readonly redaction?: Redaction;
  readonly signal?: AbortSignal;
}

export interface BegunCall {
  readonly call: CallId;
  /** The state before the call; null when a read-only call found none, or with `unprotected`. */
  readonly snapshot: SnapshotId | null;
  /** The snapshot had been taken ahead and nothing had changed since. */
  readonly adopted: boolean;
  /** The call was in flight already: nothing was done. */
  readonly repeated: boolean;
  readonly overlaps: readonly CallId[];
  /** Why there is no snapshot; only with `onSnapshotFailure: 'warn'`. */
  readonly unprotected: string | null;
  readonly uncovered: readonly UncoveredPath[];
  readonly durationMs: number;
}

export type EndCallRequest = {
  readonly outcome: CallOutcome;
  readonly trace?: TraceContext | undefined;
} & ({ readonly call: CallId } | { readonly session: string; readonly key: string });

export interface SessionInfo {
  readonly session: string;
  readonly harness: string;
  readonly parent: string | null;
  /** ISO 8601, UTC; of the last start. */
  readonly startedAt: string;
  readonly endedAt: string | null;
}

export interface PromptInfo {
  readonly prompt: PromptId;
  readonly session: string;
  readonly text: string;
  readonly at: string;
}

export interface CallInfo {
  readonly call: CallId;
  readonly session: string;
  readonly prompt: PromptId | null;
  readonly tool: string;
  /** Redacted, bounded JSON on one line. */
  readonly input: string;
  readonly key: string;
  readonly snapshot: SnapshotId | null;
  readonly readOnly: boolean;
  readonly unprotected: string | null;
  readonly overlaps: readonly CallId[];
  readonly begunAt: string;
  readonly endedAt: string | null;
  /** null: in flight. */
  readonly outcome: CallOutcome | null;
  /** null: not counted. */
  readonly changes: CallChanges | null;
  /** What the policy said; null: not judged, or nothing was found. */
  readonly judged: CallJudgement | null;
}

/** The tree changed between the end of `since` and `snapshot`, and no call was seen. */
export interface UnattributedInfo {
  readonly snapshot: SnapshotId;
  readonly since: CallId;
  readonly at: string;
}
