/**
 * Deleting snapshots: the intent first, then the disk, then the record, in bounded batches.
 *
 * A crash in between is finished by recovery: a snapshot whose deletion was begun is never offered
 * again. Pinned snapshots are refused by the core, whoever asks.
 */
import type { WorkOptions } from '../backend/backend.ts';
import type { SnapshotId } from '../core/ids.ts';
import { DELETE_BATCH_MAX } from '../core/limits.ts';
import { dropArmed } from './arm-snapshot.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export const DELETE_STEPS = [
  'delete:begin',
  'delete:intent-written',
  'delete:deleted',
  'delete:completed',
] as const;

export interface DeleteRequest extends WorkOptions {
  readonly ids: readonly SnapshotId[];
  readonly rule: string;
  readonly onStep?: (label: string) => void;
}

/** Inside `session.run`. @throws GhostsnapError SNAPSHOT_PINNED, IO; what was deleted before stays deleted. */
export async function deleteSnapshots(
  session: WorkspaceSession,
  request: DeleteRequest,
): Promise<readonly SnapshotId[]> {
  const deleted: SnapshotId[] = [];
  for (let from = 0; from < request.ids.length; from += DELETE_BATCH_MAX) {
    request.signal?.throwIfAborted();
    const batch = request.ids.slice(from, from + DELETE_BATCH_MAX);
    await deleteBatch(session, batch, request);
    deleted.push(...batch);
  }
  return deleted;
}

async function deleteBatch(
  session: WorkspaceSession,
  ids: readonly SnapshotId[],
  request: DeleteRequest,
): Promise<void> {
  const { backend, catalog, entropy } = session.ports;
  request.onStep?.('delete:begin');
  dropArmed(session);
  const pinnedIds = ids.filter((id) => catalog.snapshot(session.ref.id, id)?.pinned === true);
  session.decide(
    { type: 'start-delete', random: entropy.ulidRandom(), ids, pinnedIds, rule: request.rule },
    'power-loss',
  );
  request.onStep?.('delete:intent-written');
  await backend.deleteSnapshots(session.ref, ids);
  request.onStep?.('delete:deleted');
  session.decide({ type: 'complete-delete', rule: request.rule }, 'power-loss');
  request.onStep?.('delete:completed');
}
