/**
 * Events: the only thing that is persisted, replicated and exported.
 *
 * An event says what happened, in the past tense, with everything a projection needs. Events are
 * append-only; a field may be added, none is ever renamed or given another meaning (SPEC.md).
 */
import type { CallId, OperationId, PromptId, SnapshotId, WorkspaceId } from './ids.ts';
import { EVENT_TRACE_FIELD_MAX } from './limits.ts';
import type { PolicyAction, RuleName } from './policy/policy-rule.ts';
import type { TurnKind, TurnMode } from './state.ts';
import { type TraceContext, traceFields } from './trace-context.ts';

/**
 * ordinary: asked for, before a tool call. precautionary: taken by an operation that turns the tree.
 * adopted: found on disk by recovery; its label and tool are unknown.
 */
export type SnapshotRole = 'ordinary' | 'precautionary' | 'adopted';

/** Given by the caller, bounded by limits.ts; the only part that is not on disk beside the snapshot. */
export interface SnapshotLabels {
  readonly label: string | null;
  readonly tool: string | null;
  readonly session: string | null;
  readonly call: string | null;
}

/** unknown: nobody reported the end; it was lost, refused by a person, or its process died. */
/** 'blocked': it was not let through, so it changed nothing. */
export type CallOutcome = 'ok' | 'failed' | 'unknown' | 'blocked';

/** What is known of a tool call when it begins. */
export interface CallFacts {
  readonly session: string;
  readonly prompt: PromptId | null;
  readonly tool: string;
  /** Redacted and bounded JSON of the tool's input, one line. */
  readonly input: string;
  /** The caller's own name for the call. */
  readonly key: string;
  /** The state the call begins in; a read-only call shares its predecessor's. */
  readonly snapshot: SnapshotId | null;
  readonly readOnly: boolean;
  /** Why a call that may change things has no snapshot of its own; null for every other call. */
  readonly unprotected: string | null;
}

/** What a call did, counted from its snapshot to the tree it left. */
export interface CallChanges {
  readonly added: number;
  readonly deleted: number;
  readonly modified: number;
  /** A hash of all changes, to tell later changes from the call's own. */
  readonly digest: string;
}

/** What a policy said of a call, as it is kept: without the paths. */
export interface CallJudgement {
  readonly action: PolicyAction;
  readonly findings: readonly {
    readonly rule: RuleName | 'policy-file';
    readonly action: PolicyAction;
    readonly message: string;
  }[];
  /** The rollback that followed at once; null: none did. */
  readonly operation: OperationId | null;
}

export interface EventHead {
  readonly workspace: WorkspaceId;
  /** 1, 2, 3, ... without a gap in one workspace. */
  readonly sequence: number;
  readonly atMs: number;
}

export type EventBody =
  | {
      readonly type: 'workspace.created';
      readonly path: string;
      readonly backend: string;
      readonly pool: string;
    }
  | { readonly type: 'workspace.activated' }
  | { readonly type: 'workspace.rebound'; readonly path: string }
  | {
      readonly type: 'workspace.destroying';
      readonly operation: OperationId;
      /** The tree goes with its snapshots. Absent: a plain directory remains. */
      readonly tree?: 'removed';
    }
  | { readonly type: 'workspace.destroyed'; readonly operation: OperationId }
  | ({
      readonly type: 'snapshot.created';
      readonly id: SnapshotId;
      readonly role: SnapshotRole;
      readonly parent: SnapshotId | null;
    } & SnapshotLabels)
  /** Written before the disk holds it. It is no snapshot until `snapshot.created` names it. */
  | { readonly type: 'snapshot.armed'; readonly id: SnapshotId }
  | { readonly type: 'snapshot.disarmed'; readonly id: SnapshotId }
  | { readonly type: 'snapshot.labelled'; readonly id: SnapshotId; readonly label: string | null }
  | { readonly type: 'snapshot.pinned'; readonly id: SnapshotId }
  | { readonly type: 'snapshot.unpinned'; readonly id: SnapshotId }
  | { readonly type: 'snapshot.lost'; readonly id: SnapshotId }
  | {
      readonly type: 'snapshots.deleting';
      readonly operation: OperationId;
      readonly ids: readonly SnapshotId[];
      readonly rule: string;
    }
  | {
      readonly type: 'snapshots.deleted';
      readonly operation: OperationId;
      readonly ids: readonly SnapshotId[];
      readonly rule: string;
    }
  | {
      readonly type: 'turn.started';
      readonly operation: OperationId;
      readonly kind: TurnKind;
      readonly target: SnapshotId;
      readonly precautionary: SnapshotId;
      readonly mode: TurnMode;
      readonly cursor: number | null;
      /** Display forms of the restored paths; empty means the whole tree. */
      readonly paths: readonly string[];
      /** Opaque to the core: what the backend needs to finish or take back after a crash. */
      readonly token: string;
    }
  | {
      readonly type: 'turn.completed';
      readonly operation: OperationId;
      /** null: not counted (a swap). */
      readonly changes: number | null;
      readonly recovered: boolean;
    }
  | { readonly type: 'turn.abandoned'; readonly operation: OperationId; readonly reason: string }
  | {
      readonly type: 'session.started';
      readonly session: string;
      readonly harness: string;
      /** The session whose agent started this one. */
      readonly parent: string | null;
    }
  | { readonly type: 'session.ended'; readonly session: string }
  | {
      readonly type: 'prompt.submitted';
      readonly prompt: PromptId;
      readonly session: string;
      /** Redacted and bounded, one line. */
      readonly text: string;
    }
  | ({
      readonly type: 'call.begun';
      readonly call: CallId;
      /** Calls that had not ended when this one began. */
      readonly overlaps: readonly CallId[];
    } & CallFacts)
  | { readonly type: 'call.ended'; readonly call: CallId; readonly outcome: CallOutcome }
  | ({ readonly type: 'call.measured'; readonly call: CallId } & CallChanges)
  | ({ readonly type: 'call.judged'; readonly call: CallId } & CallJudgement)
  | {
      /** The tree changed between the end of `since` and `snapshot` without a call. */
      readonly type: 'change.unattributed';
      readonly snapshot: SnapshotId;
      readonly since: CallId;
    };

/** The last field of an event that was asked for within a trace; the texts are those of the headers. */
export interface EventTrace {
  readonly traceparent: string;
  readonly tracestate?: string;
  readonly baggage?: string;
}

export type Event = EventHead & EventBody & { readonly trace?: EventTrace };

/** What an event keeps of a trace: an event stays small, and a long baggage is not its business. */
export function eventTrace(context: TraceContext): EventTrace {
  const { traceparent = '', tracestate, baggage } = traceFields(context);
  const isKept = (text: string | undefined): text is string =>
    text !== undefined && text.length <= EVENT_TRACE_FIELD_MAX;
  return {
    traceparent,
    ...(isKept(tracestate) ? { tracestate } : {}),
    ...(isKept(baggage) ? { baggage } : {}),
  };
}
