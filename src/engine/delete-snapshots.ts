/**
 * Deleting snapshots: the intent first, then the disk, then the record.
 *
 * A crash in between is finished by recovery: a snapshot whose deletion was begun is never offered
 * again. Pinned snapshots, and those that an unfinished turn needs, are refused by the core, whoever asks.
 */
import type { Command } from '../core/command.ts';
import { assert } from '../core/errors.ts';
import type { SnapshotId } from '../core/ids.ts';
import { DELETE_BATCH_MAX } from '../core/limits.ts';
import { METRIC } from '../core/telemetry-names.ts';
import { dropArmed } from './arm-snapshot.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export const DELETE_STEPS = [
  'delete:begin',
  'delete:intent-written',
  'delete:deleted',
  'delete:completed',
] as const;

export interface DeleteRequest {
  /** At most DELETE_BATCH_MAX, all of them in the catalog. */
  readonly ids: readonly SnapshotId[];
  readonly rule: string;
  /**
   * 'deletion': more are deleted in a moment, and the record of that intent makes the end of this deletion
   * durable with it.
   */
  readonly next: 'deletion' | 'none';
  /** As `DeleteOptions.room`. */
  readonly room: 'soon' | 'later';
  readonly onStep?: ((label: string) => void) | undefined;
}

/** Inside `session.run`. @throws GhostsnapError SNAPSHOT_PINNED, SNAPSHOT_NEEDED, IO */
export async function deleteSnapshots(
  session: WorkspaceSession,
  request: DeleteRequest,
): Promise<void> {
  assert(request.ids.length <= DELETE_BATCH_MAX, 'a deletion is bounded');
  request.onStep?.('delete:begin');
  dropArmed(session);
  await session.decideDurably(startOf(session, request));
  request.onStep?.('delete:intent-written');
  const { ids, room } = request;
  await session.ports.backend.deleteSnapshots(session.ref, ids, { room });
  session.telemetry.count(METRIC.snapshotsDeleted, request.ids.length);
  request.onStep?.('delete:deleted');
  const end = { type: 'complete-delete', rule: request.rule } as const;
  // One that is lost with the power leaves the deletion in flight, of snapshots that are gone.
  if (request.next === 'none') await session.decideDurably(end);
  else session.decide(end, 'process-crash');
  request.onStep?.('delete:completed');
}

/**
 * Inside `session.run`: nothing is recorded and nothing deleted.
 * @throws GhostsnapError what beginning the deletion would throw
 */
export function assertDeletable(
  session: WorkspaceSession,
  request: Pick<DeleteRequest, 'ids' | 'rule'>,
): void {
  session.assertTakes(startOf(session, request));
}

function startOf(
  session: WorkspaceSession,
  { ids, rule }: Pick<DeleteRequest, 'ids' | 'rule'>,
): Command {
  const { catalog, entropy } = session.ports;
  const pinnedIds = ids.filter((id) => catalog.snapshot(session.ref.id, id)?.pinned === true);
  return { type: 'start-delete', random: entropy.ulidRandom(), ids, pinnedIds, rule };
}
