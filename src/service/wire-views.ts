/** From what the engine gives to what travels. */
import type { z } from 'zod';
import type { beginCallOutput, callView, sessionView } from '../api/schema/calls.ts';
import type { EventView } from '../api/schema/operations.ts';
import type { changeView, snapshotView } from '../api/schema/snapshots.ts';
import type { turnRecordView, turnView } from '../api/schema/turns.ts';
import type { workspaceView } from '../api/schema/workspaces.ts';
import type { UncoveredPath } from '../backend/backend.ts';
import type { Event } from '../core/event.ts';
import { displayPath, type RawPath } from '../core/raw-path.ts';
import type { TreeChange } from '../core/tree-change.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { BegunCall, CallInfo, SessionInfo } from '../engine/call-results.ts';
import type { OperationRow } from '../engine/ports.ts';
import type { SnapshotInfo, TurnResult } from '../engine/results.ts';
import type { HostedWorkspace } from './ledger.ts';

export type WorkspaceView = z.output<typeof workspaceView>;
export type TurnView = z.output<typeof turnView>;
export type ChangeView = z.output<typeof changeView>;

export function hostedView(row: HostedWorkspace): WorkspaceView {
  const { id: workspace, name, path, backend, pool, template, status } = row;
  const createdAt = new Date(row.createdAtMs).toISOString();
  return { workspace, name, path, backend, pool, template, status, createdAt };
}

export function snapshotViewOf(info: SnapshotInfo): z.output<typeof snapshotView> {
  return { ...info };
}

export function sessionViewOf(info: SessionInfo): z.output<typeof sessionView> {
  return { ...info };
}

export function callViewOf(info: CallInfo): z.output<typeof callView> {
  const { overlaps, judged, changes } = info;
  return {
    ...info,
    overlaps: [...overlaps],
    changes: changes === null ? null : { ...changes },
    judged:
      judged === null
        ? null
        : { ...judged, findings: judged.findings.map((finding) => ({ ...finding })) },
  };
}

export function begunView(begun: BegunCall): z.output<typeof beginCallOutput> {
  return {
    ...begun,
    overlaps: [...begun.overlaps],
    uncovered: uncoveredViews(begun.uncovered),
  };
}

export function uncoveredViews(
  uncovered: readonly UncoveredPath[],
): { path: string; reason: string }[] {
  return uncovered.map(({ path, reason }) => ({ path: shown(path), reason }));
}

export function turnViewOf(result: TurnResult): TurnView {
  const { operation, kind, target, precautionary, mode, modeReason, changes, durationMs } = result;
  const notes = result.notes.map((note) => ({ ...note }));
  return {
    ...{ operation, kind, target, precautionary, mode, modeReason, changes, durationMs, notes },
  };
}

export function turnRecordOf(row: OperationRow): z.output<typeof turnRecordView> {
  const { token: _, startedAtMs, endedAtMs, paths, ...rest } = row;
  return {
    ...rest,
    startedAt: new Date(startedAtMs).toISOString(),
    endedAt: endedAtMs === null ? null : new Date(endedAtMs).toISOString(),
    paths: [...paths],
  };
}

export function changeViewOf(change: TreeChange): ChangeView {
  return {
    path: shown(change.path),
    kind: change.kind,
    ...(change.oldPath === undefined ? {} : { oldPath: shown(change.oldPath) }),
    fields: [...change.fields],
    from: entryViewOf(change.from),
    to: entryViewOf(change.to),
    ...(change.reason === undefined ? {} : { reason: change.reason }),
  };
}

export function eventView(event: Event): EventView {
  const { workspace, sequence, atMs, type, ...data } = event;
  // An event is what was parsed from JSON, or becomes it: nothing else is in one.
  return { workspace, sequence, at: new Date(atMs).toISOString(), type, data: data as never };
}

function entryViewOf(entry: TreeEntry | null): ChangeView['from'] {
  if (entry === null) return null;
  const { type, uid, gid, sizeBytes, mtimeNs } = entry;
  const mode = entry.mode.toString(8).padStart(4, '0');
  return { type, mode, uid, gid, sizeBytes, mtimeNs: mtimeNs.toString() };
}

function shown(path: RawPath): string {
  return path === '' ? '.' : displayPath(path);
}
