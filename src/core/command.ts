/**
 * Commands: what the engine asks the core to decide, and effects: what the core asks the engine to do.
 *
 * Commands come in pairs where the world must act in between: `take-snapshot` gives the effect
 * `create-snapshot`; when it is done the engine reports `snapshot-taken`, and only that is an event.
 * Operations that destroy something first become an event (`start-*`), then an effect, then an end.
 */
import type {
  CallChanges,
  CallFacts,
  CallJudgement,
  CallOutcome,
  SnapshotLabels,
  SnapshotRole,
} from './event.ts';
import type { CallId, OperationId, SnapshotId } from './ids.ts';
import type { KeptTree, TurnKind, TurnMode } from './state.ts';

export type Command =
  | {
      readonly type: 'create-workspace';
      readonly path: string;
      readonly backend: string;
      readonly pool: string;
    }
  | { readonly type: 'activate-workspace' }
  | { readonly type: 'rebind-workspace'; readonly path: string }
  /** `random`: ULID_RANDOM_BYTES bytes. */
  | { readonly type: 'take-snapshot'; readonly random: Uint8Array }
  | ({
      readonly type: 'snapshot-taken';
      readonly id: SnapshotId;
      readonly role: SnapshotRole;
    } & SnapshotLabels)
  | { readonly type: 'snapshot-missing'; readonly id: SnapshotId }
  /** `random`: ULID_RANDOM_BYTES bytes. */
  | { readonly type: 'arm-snapshot'; readonly random: Uint8Array }
  | { readonly type: 'disarm-snapshot' }
  | {
      readonly type: 'start-turn';
      readonly random: Uint8Array;
      readonly kind: TurnKind;
      readonly target: SnapshotId;
      readonly precautionary: SnapshotId;
      readonly mode: TurnMode;
      readonly cursor: number | null;
      readonly paths: readonly string[];
      readonly token: string;
    }
  | { readonly type: 'complete-turn'; readonly changes: number | null; readonly recovered: boolean }
  | { readonly type: 'abandon-turn'; readonly reason: string }
  | {
      readonly type: 'start-delete';
      readonly random: Uint8Array;
      readonly ids: readonly SnapshotId[];
      readonly pinnedIds: readonly SnapshotId[];
      readonly rule: string;
    }
  | { readonly type: 'complete-delete'; readonly rule: string }
  | { readonly type: 'label-snapshot'; readonly id: SnapshotId; readonly label: string | null }
  | { readonly type: 'pin-snapshot'; readonly id: SnapshotId }
  | { readonly type: 'unpin-snapshot'; readonly id: SnapshotId }
  | { readonly type: 'start-destroy'; readonly random: Uint8Array; readonly tree: KeptTree }
  | { readonly type: 'complete-destroy' }
  | CallCommand;

/** Commands about sessions of agents and their tool calls. */
export type CallCommand =
  | {
      readonly type: 'start-session';
      readonly session: string;
      readonly harness: string;
      readonly parent: string | null;
    }
  | { readonly type: 'end-session'; readonly session: string }
  | {
      readonly type: 'submit-prompt';
      readonly random: Uint8Array;
      readonly session: string;
      readonly text: string;
    }
  | ({ readonly type: 'begin-call'; readonly random: Uint8Array } & CallFacts)
  /** A call that is not let through: it begins and ends at once, so that it is never found in flight. */
  | ({ readonly type: 'refuse-call'; readonly random: Uint8Array } & CallFacts)
  | { readonly type: 'end-call'; readonly call: CallId; readonly outcome: CallOutcome }
  | ({ readonly type: 'measure-call'; readonly call: CallId } & CallChanges)
  | ({ readonly type: 'judge-call'; readonly call: CallId } & CallJudgement)
  | {
      readonly type: 'note-unattributed';
      readonly snapshot: SnapshotId;
      readonly since: CallId;
    };

export type Effect =
  | { readonly type: 'create-snapshot'; readonly id: SnapshotId }
  | { readonly type: 'arm-snapshot'; readonly id: SnapshotId }
  | { readonly type: 'turn-tree'; readonly operation: OperationId; readonly mode: TurnMode }
  | { readonly type: 'delete-snapshots'; readonly ids: readonly SnapshotId[] }
  | { readonly type: 'release-workspace' };
