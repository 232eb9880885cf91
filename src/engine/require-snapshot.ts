/** A snapshot that has to be in the catalog, as the public API shows it. */
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotId } from '../core/ids.ts';
import type { SnapshotInfo } from './results.ts';
import { snapshotInfo } from './snapshot-info.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** @throws GhostsnapError SNAPSHOT_NOT_FOUND */
export function requireSnapshot(session: WorkspaceSession, id: SnapshotId): SnapshotInfo {
  const row = session.ports.catalog.snapshot(session.ref.id, id);
  if (row !== null) return snapshotInfo(row);
  throw new GhostsnapError('SNAPSHOT_NOT_FOUND', `There is no snapshot ${id} in this workspace.`, {
    hint: 'List the snapshots with "ghostsnap log".',
  });
}
