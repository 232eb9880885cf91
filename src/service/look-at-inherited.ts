/**
 * After a service that died: each workspace of its pools is opened once, so that what it was doing there is
 * found and ended although nobody asks for that workspace.
 *
 * Whoever is asked for before its turn has come is looked at then, by its locks, so nothing waits for this;
 * it goes one by one in each pool, behind requests. A pool is settled only when every workspace that its catalog knows
 * was opened: one that failed, or has no owner here, leaves it to whoever comes next to look again.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GhostsnapError } from '../core/errors.ts';
import type { WorkspaceId } from '../core/ids.ts';
import type { Ledger } from './ledger.ts';
import type { OpenWorkspaces } from './open-workspaces.ts';
import type { WorkspaceSource } from './workspace-source.ts';

export interface LookAtInherited {
  readonly ledger: Ledger;
  readonly source: Pick<WorkspaceSource, 'inherited' | 'allLookedAt'>;
  readonly open: Pick<OpenWorkspaces, 'look'>;
  /** Ends it early; what was not looked at stays as it is. */
  readonly signal: AbortSignal;
  readonly onError: (error: unknown) => void;
}

export interface LookedAt {
  readonly pool: string;
  readonly workspaces: number;
  /** Those that nobody could look at; 0: the pool is settled. */
  readonly left: number;
}

export async function lookAtInherited(looking: LookAtInherited): Promise<readonly LookedAt[]> {
  const pools = looking.source.inherited().map((pool) => lookAtPool(looking, pool));
  return (await Promise.all(pools)).filter((looked) => looked !== null);
}

/** @returns null: it was ended early */
async function lookAtPool(
  looking: LookAtInherited,
  { pool, workspaces }: ReturnType<WorkspaceSource['inherited']>[number],
): Promise<LookedAt | null> {
  const { source, signal } = looking;
  let left = 0;
  for (const id of workspaces) {
    await nextTurn();
    if (signal.aborted) return null;
    if ((await look(looking, id)) === 'left') left += 1;
  }
  if (left === 0) source.allLookedAt(pool);
  return { pool, workspaces: workspaces.length, left };
}

async function look(
  { ledger, open, onError }: LookAtInherited,
  id: WorkspaceId,
): Promise<'looked' | 'left'> {
  const row = ledger.workspace(id);
  if (row === null) return 'left';
  try {
    await open.look(row);
    return 'looked';
  } catch (error) {
    // Ended in the meantime, by a request or by the very look: there is nothing left to look at.
    if (error instanceof GhostsnapError && error.code === 'WORKSPACE_DESTROYED') return 'looked';
    onError(error);
    return 'left';
  }
}
