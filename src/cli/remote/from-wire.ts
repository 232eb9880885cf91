/**
 * From what a service sends to what commands print: the inverse of the service's wire views.
 *
 * Paths become bytes again, because it is printing that escapes them. What does not travel (inode numbers,
 * the backend's tokens) is nothing that is printed. Pure.
 */
import type { OutputOf } from '../../api/schema/operations.ts';
import type { UncoveredPath } from '../../backend/backend.ts';
import { baseOf, parseDisplayPath, type RawPath } from '../../core/raw-path.ts';
import type { TreeChange } from '../../core/tree-change.ts';
import type { TreeEntry } from '../../core/tree-entry.ts';
import type { CallInfo } from '../../engine/call-results.ts';
import type { UndoCallPlan } from '../../engine/workspace-api.ts';
import type { LoggedOperation } from '../session-log.ts';

type ChangeView = OutputOf<'diff'>['changes'][number];
type EntryView = NonNullable<ChangeView['from']>;
type UncoveredView = OutputOf<'listUncovered'>['uncovered'][number];
type OperationView = OutputOf<'listOperations'>['operations'][number];

export function changeOf(view: ChangeView): TreeChange {
  const path = rawOf(view.path);
  const oldPath = view.oldPath === undefined ? undefined : rawOf(view.oldPath);
  return {
    ...{ path, kind: view.kind, fields: view.fields },
    from: entryOf(oldPath ?? path, view.from),
    to: entryOf(path, view.to),
    ...(oldPath === undefined ? {} : { oldPath }),
    ...(view.reason === undefined ? {} : { reason: view.reason }),
  };
}

export function callOf(view: OutputOf<'getCall'>): CallInfo {
  return { ...view, judged: view.judged as CallInfo['judged'] };
}

export function undoCallPlanOf(view: OutputOf<'planUndoCall'>): UndoCallPlan {
  const { call, overlaps, conflicts } = view;
  return {
    ...{ call, overlaps },
    steps: view.steps.map(({ path, action, why }) => ({
      ...{ path, action },
      ...(why === undefined ? {} : { why }),
    })),
    conflicts,
  };
}

export function uncoveredOf(views: readonly UncoveredView[]): readonly UncoveredPath[] {
  return views.map(({ path, reason }) => ({
    path: rawOf(path),
    reason: reason as UncoveredPath['reason'],
  }));
}

export function operationOf({ startedAt, endedAt, ...rest }: OperationView): LoggedOperation {
  return {
    ...rest,
    startedAtMs: Date.parse(startedAt),
    endedAtMs: endedAt === null ? null : Date.parse(endedAt),
  };
}

function entryOf(path: RawPath, view: EntryView | null): TreeEntry | null {
  if (view === null) return null;
  const { type, uid, gid, sizeBytes } = view;
  return {
    ...{ name: baseOf(path), type, uid, gid, sizeBytes },
    mode: Number.parseInt(view.mode, 8),
    mtimeNs: BigInt(view.mtimeNs),
    ...{ ino: 0, nlink: 1, ctimeNs: 0n, rdev: 0 },
  };
}

/** The workspace's own directory is `.` where it is shown, and empty where it is a path. */
function rawOf(shown: string): RawPath {
  return (shown === '.' ? '' : parseDisplayPath(shown)) as RawPath;
}
