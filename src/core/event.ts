/**
 * Events: the only thing that is persisted, replicated and exported.
 *
 * An event says what happened, in the past tense, with everything a projection needs. Events are
 * append-only; a field may be added, none is ever renamed or given another meaning (SPEC.md).
 */
import type { OperationId, SnapshotId, WorkspaceId } from './ids.ts';
import type { TurnKind, TurnMode } from './state.ts';

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
  | { readonly type: 'workspace.destroying'; readonly operation: OperationId }
  | { readonly type: 'workspace.destroyed'; readonly operation: OperationId }
  | ({
      readonly type: 'snapshot.created';
      readonly id: SnapshotId;
      readonly role: SnapshotRole;
      readonly parent: SnapshotId | null;
    } & SnapshotLabels)
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
  | { readonly type: 'turn.abandoned'; readonly operation: OperationId; readonly reason: string };

export type Event = EventHead & EventBody;
