/** What is known of a workspace without looking at its tree. */
import { snapshotInfo } from './snapshot-info.ts';
import type { WorkspaceInfo, WorkspaceSummary } from './workspace-api.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** @throws GhostsnapError WORKSPACE_GONE, WORKSPACE_REPLACED: it is looked whether the tree is there */
export function summaryOf(session: WorkspaceSession): Omit<WorkspaceSummary, keyof WorkspaceInfo> {
  const { backend, catalog } = session.ports;
  backend.identify(session.ref);
  const state = catalog.loadState(session.ref.id) ?? session.state;
  const newest = catalog.listSnapshots(session.ref.id, { limit: 1 })[0];
  const space = backend.space(session.ref.poolRoot);
  return {
    snapshots: state.snapshotCount,
    newest: newest === undefined ? null : snapshotInfo(newest),
    pinned: backend.listPinned(session.ref).length,
    canUndo: state.cursor > 0,
    canRedo: state.cursor < state.historyLength - 1,
    callsInFlight: state.calls.length,
    lastSequence: state.sequence,
    poolTotalBytes: space.totalBytes,
    poolFreeBytes: space.freeBytes,
  };
}
