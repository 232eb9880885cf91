/**
 * The state of one workspace, and folding events into it.
 *
 * The state is what `step` decides on and nothing more: a few hundred bytes, so that a host holds
 * 50,000 of them. Lists of snapshots stay in the catalog. Folding the same events gives the same
 * state byte for byte (`encodeState`); nothing else ever changes it.
 */
import type { CallId, OperationId, SnapshotId, Ulid, WorkspaceId } from './ids.ts';

/** How a tree is turned: path by path, or by exchanging the workspace with a clone of the target. */
export type TurnMode = 'in-place' | 'swap';

/** Operations that turn the live tree. Each starts with a precautionary snapshot. */
export type TurnKind = 'rollback' | 'restore' | 'undo' | 'redo' | 'undo-call';

/** What becomes of the tree when its workspace ends: a plain directory, or nothing. */
export type KeptTree = 'kept' | 'removed';

export interface TurnInFlight {
  readonly type: 'turn';
  readonly operation: OperationId;
  readonly kind: TurnKind;
  readonly target: SnapshotId;
  readonly precautionary: SnapshotId;
  readonly mode: TurnMode;
  /** Where the undo cursor goes when the operation completes; null leaves a new entry. */
  readonly cursor: number | null;
}

/**
 * An operation whose intent is written and whose end is not. At most one a workspace, with one exception: a
 * turn that can't be ended for want of room lets snapshots be deleted that it does not need.
 */
export type InFlight =
  | TurnInFlight
  | {
      readonly type: 'delete';
      readonly operation: OperationId;
      readonly snapshots: readonly SnapshotId[];
      /** The turn that waits for the room; in flight again afterwards. Absent: there is none. */
      readonly during?: TurnInFlight;
    }
  | {
      readonly type: 'destroy';
      readonly operation: OperationId;
      /** Absent: kept. */
      readonly tree?: 'removed';
    };

/** A tool call that has begun and whose end nobody has reported. */
export interface CallInFlight {
  readonly call: CallId;
  readonly session: string;
  /** The caller's own name for the call; several in flight may share one when it is made up. */
  readonly key: string;
}

export interface WorkspaceState {
  readonly workspace: WorkspaceId;
  /** 'creating' until init has finished: recovery takes such a workspace back. */
  readonly status: 'creating' | 'active' | 'destroyed';
  /** Number of the last event; the next one is one higher. */
  readonly sequence: number;
  /** The greatest ULID issued, '' at first. */
  readonly lastUlid: Ulid | '';
  /** The newest snapshot that the live tree comes from. */
  readonly head: SnapshotId | null;
  readonly snapshotCount: number;
  /**
   * Undo history: an editor's list of states, kept by the catalog as (position, snapshot). `cursor`
   * equals `historyLength` while nothing was undone; anything new cuts what lies beyond it.
   */
  readonly historyLength: number;
  readonly cursor: number;
  readonly inFlight: InFlight | null;
  /** Taken early and adopted by nobody yet; the disk may still or already be without it. */
  readonly armed: SnapshotId | null;
  /** Oldest first, at most CALLS_IN_FLIGHT_MAX. */
  readonly calls: readonly CallInFlight[];
}

/** The turn whose end is not written, also while snapshots are deleted to make room for it. */
export function turnInFlight({ inFlight }: Pick<WorkspaceState, 'inFlight'>): TurnInFlight | null {
  if (inFlight?.type === 'turn') return inFlight;
  return inFlight?.type === 'delete' ? (inFlight.during ?? null) : null;
}
