/**
 * What the public API takes and gives. Plain values: JSON of them is what `--json` prints.
 */
import type { UncoveredPath } from '../backend/backend.ts';
import type { SnapshotLabels, SnapshotRole } from '../core/event.ts';
import type { OperationId, SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { RetentionDecision } from '../core/retention/decision.ts';
import type { TurnKind, TurnMode } from '../core/state.ts';
import type { TraceContext } from '../core/trace-context.ts';

export type { RetentionDecision };

export interface SnapshotRequest extends Partial<SnapshotLabels> {
  readonly trace?: TraceContext | undefined;
  readonly onProgress?: (done: number, total: number | null) => void;
  readonly signal?: AbortSignal;
  readonly onStep?: (label: string) => void;
}

export interface SnapshotResult {
  readonly id: SnapshotId;
  readonly workspace: WorkspaceId;
  /** ISO 8601, UTC, milliseconds. */
  readonly createdAt: string;
  readonly durationMs: number;
  readonly uncovered: readonly UncoveredPath[];
  /** True: it had been armed, and nothing had changed since; nothing was taken now. */
  readonly adopted: boolean;
}

export interface ArmRequest {
  readonly trace?: TraceContext | undefined;
  readonly onStep?: (label: string) => void;
}

export interface ArmResult {
  /** True: the next snapshot lies ready, and is adopted when nothing changes before it is asked for. */
  readonly armed: boolean;
  /** Why not, for people; null when it is. */
  readonly reason: string | null;
}

export interface SnapshotInfo {
  readonly id: SnapshotId;
  readonly createdAt: string;
  readonly role: SnapshotRole;
  readonly label: string | null;
  readonly tool: string | null;
  readonly session: string | null;
  readonly call: string | null;
  readonly pinned: boolean;
  readonly parent: SnapshotId | null;
}

export interface RollbackRequest {
  readonly trace?: TraceContext | undefined;
  /** auto: swap when nobody holds the tree and it pays, else in place. */
  readonly mode?: TurnMode | 'auto';
  readonly onProgress?: (done: number, total: number | null) => void;
  readonly signal?: AbortSignal;
  readonly onStep?: (label: string) => void;
}

export interface TurnResult {
  readonly operation: OperationId;
  readonly kind: TurnKind;
  readonly target: SnapshotId;
  readonly precautionary: SnapshotId;
  readonly mode: TurnMode;
  /** Why this mode was chosen, for people. */
  readonly modeReason: string;
  /** Paths acted on; null when a swap exchanged the whole tree without counting. */
  readonly changes: number | null;
  readonly durationMs: number;
  /** What could not be given back exactly. */
  readonly notes: readonly { readonly path: string; readonly what: string }[];
}

/** An operation that could not be ended, mostly for want of room; both its states are whole. */
export interface UnfinishedTurn {
  readonly operation: OperationId;
  /** For people. */
  readonly reason: string;
}

export interface PruneResult {
  readonly decisions: readonly RetentionDecision[];
  readonly deleted: readonly SnapshotId[];
  readonly durationMs: number;
  /** It still waits to be ended: the next operation tries again. */
  readonly unfinished: UnfinishedTurn | null;
}

export interface RecoveryReport {
  readonly adopted: readonly SnapshotId[];
  readonly lost: readonly SnapshotId[];
  readonly torn: readonly SnapshotId[];
  readonly finished: readonly OperationId[];
  readonly abandoned: readonly OperationId[];
  /** Of an opening: what was in flight and can't be ended now. Reading and deleting work all the same. */
  readonly unfinished: UnfinishedTurn | null;
}
