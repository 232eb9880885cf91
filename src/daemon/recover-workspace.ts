/**
 * `ghostsnap recover`: recovery asked for, also when an ordinary open cannot.
 *
 * A catalog that cannot be read is moved aside, never deleted, and a new one is filled from the disk:
 * everything but labels comes back. A workspace whose directory was moved is bound to where it is now.
 *
 * Order of a rebinding, and why: pool and log first, the register's new entry next, the old entry last.
 * Nothing is destroyed, so no intent is needed: cut off before the new entry, the next `recover` finds
 * the directory again and repeats; cut off before the old one went, the workspace works at its new path
 * and the next `recover` removes the rest.
 */
import path from 'node:path';
import type { DamagedPath } from '../backend/backend.ts';
import { namesIfThere } from '../backend/if-there.ts';
import { type MendOutcome, mendCatalog } from '../catalog/mend-catalog.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { EngineWorkspace } from '../engine/engine-workspace.ts';
import type { RecoveryReport } from '../engine/results.ts';
import { assertRecorded, findMoved, isInPlace, type MovedWorkspace } from './find-moved.ts';
import { type Environment, type Home, poolDirectory, resolveHome } from './home.ts';
import { openPool, requirePool } from './open-pool.ts';
import { buildWorkspace, findRecord, openWorkspace } from './open-workspace.ts';
import { atPublicEdge } from './public-edge.ts';
import {
  listForgotten,
  listWorkspaceRecords,
  readWorkspace,
  removeForgotten,
  removeLeftRecords,
  removeWorkspace,
  type WorkspaceRecord,
  writeWorkspace,
} from './registry.ts';
import { systemEnvironment } from './system-ports.ts';

export interface RecoverWorkspaceOptions {
  /** A directory in the workspace, also in one that was moved there. */
  readonly workspace?: string;
  readonly environment?: Environment;
  /** 'yes': everything that the snapshots hold is read and proven as well. */
  readonly verify?: 'yes' | 'no';
  readonly onProgress?: (done: number, total: number | null) => void;
  readonly signal?: AbortSignal;
  /** Labelled steps of a rebinding, for tests that kill the process there. */
  readonly onStep?: (label: string) => void;
}

export interface MendedCatalog {
  readonly outcome: MendOutcome['outcome'];
  /** Where the damaged file is kept. */
  readonly setAside: string | null;
}

export interface RecoverWorkspaceReport extends RecoveryReport {
  /** null: not asked for, or the filesystem keeps checksums itself. */
  readonly damaged: readonly DamagedPath[] | null;
  /** What was wrong with the catalog: nothing; made again from its events; set aside, and filled from the disk. */
  readonly catalog: MendedCatalog;
  /** The workspace was found at another path, or after it had been forgotten. */
  readonly rebound: { readonly from: string; readonly to: string } | null;
  /** False: no directory, or another one, is at its path; its snapshots are whole all the same. */
  readonly isThere: boolean;
}

/** Labels of `onStep` that follow those of the engine. */
export const REGISTER_STEPS = ['rebind:registered', 'rebind:done'] as const;

/**
 * @throws GhostsnapError WORKSPACE_NOT_FOUND, WORKSPACE_GONE, WORKSPACE_REPLACED, WORKSPACE_EXISTS when
 *   another workspace is registered for the path; what the mending itself throws
 */
export async function recoverWorkspace(
  options: RecoverWorkspaceOptions = {},
): Promise<RecoverWorkspaceReport> {
  const { workspace: asked = '.' } = options;
  return await atPublicEdge('Recovering the workspace', asked, () => recover(options));
}

async function recover(options: RecoverWorkspaceOptions): Promise<RecoverWorkspaceReport> {
  const environment = options.environment ?? systemEnvironment();
  const home = resolveHome(environment);
  const asked = path.resolve(environment.cwd, options.workspace ?? '.');
  removeLeftRecords(home);
  const known = knownRecord(home, environment, options.workspace);
  const isThere = known !== null && (await isInPlace(home, known));
  const moved = isThere ? null : await findMoved(home, asked);
  if (moved !== null) return await rebind(home, environment, moved, options);
  const record = known ?? (await remembered(home, asked)) ?? findRecord(home, environment, asked);
  const catalog = mended(home, record);
  const report = await recoverOpened({ environment, workspace: record.path });
  removeOldEntries(home, record);
  const damaged = await verified(record, options);
  const isNowThere = isThere || (await isInPlace(home, record));
  if (!isNowThere) {
    assertNothingInTheWay(record);
    await assertRecorded(home, record);
  }
  return { ...report, damaged, catalog, rebound: null, isThere: isNowThere };
}

function knownRecord(
  home: Home,
  environment: Environment,
  directory: string | undefined,
): WorkspaceRecord | null {
  try {
    return findRecord(home, environment, directory);
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'WORKSPACE_NOT_FOUND') return null;
    throw error;
  }
}

/** One that was forgotten, asked for by its path: it is registered again, whatever stands there. */
async function remembered(home: Home, asked: string): Promise<WorkspaceRecord | null> {
  const record = listForgotten(home).find((forgotten) => forgotten.path === asked);
  if (record === undefined) return null;
  writeWorkspace(home, record);
  removeForgotten(home, record.id);
  return record;
}

async function rebind(
  home: Home,
  environment: Environment,
  moved: MovedWorkspace,
  options: RecoverWorkspaceOptions,
): Promise<RecoverWorkspaceReport> {
  const record = { ...moved.record, path: moved.path };
  const other = readWorkspace(home, record.path);
  if (other !== null && other.id !== record.id) throw takenPath(record.path, other);
  const pool = requirePool(home, record.pool);
  const catalog = mended(home, record);
  const parts = await openPool({ home, pool, watch: 'off' });
  await using workspace: EngineWorkspace = buildWorkspace({ home, environment, record, parts });
  const report = await workspace.rebind(options.onStep);
  writeWorkspace(home, record);
  options.onStep?.('rebind:registered');
  removeOldEntries(home, record);
  options.onStep?.('rebind:done');
  const damaged = await verified(record, options);
  const rebound = { from: moved.record.path, to: record.path };
  return { ...report, damaged, catalog, rebound, isThere: true };
}

function mended(home: Home, { pool }: WorkspaceRecord): MendedCatalog {
  const mend = mendCatalog(path.join(poolDirectory(home, pool), 'catalog.db'));
  return { outcome: mend.outcome, setAside: mend.outcome === 'set-aside' ? mend.to : null };
}

/** Last: it may take hours, and everything else is done by then. */
async function verified(
  { path: workspace }: WorkspaceRecord,
  options: RecoverWorkspaceOptions,
): Promise<RecoverWorkspaceReport['damaged']> {
  if (options.verify !== 'yes') return null;
  const { environment, onProgress, signal } = options;
  await using opened = await openWorkspace({
    ...{ workspace, readOnly: 'yes' },
    ...(environment === undefined ? {} : { environment }),
  });
  return await opened.verify({
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** A tree in a pool is never shown over files. @throws GhostsnapError WORKSPACE_REPLACED */
function assertNothingInTheWay({ path: at, movedTo, id }: WorkspaceRecord): void {
  const inTheWay = movedTo === null ? [] : namesIfThere(at);
  if (inTheWay.length === 0) return;
  throw new GhostsnapError('WORKSPACE_REPLACED', `Files stand where the workspace belongs: ${at}`, {
    hint:
      `Move them away, so that ${at} is empty, and run "ghostsnap recover" again. ` +
      `The workspace itself is whole, in ${movedTo}.`,
    data: { path: at, workspace: id },
  });
}

/** What a rebinding that was cut off left: other entries of the same workspace. */
function removeOldEntries(home: Home, record: WorkspaceRecord): void {
  for (const { id, path: old } of listWorkspaceRecords(home)) {
    if (id === record.id && old !== record.path) removeWorkspace(home, old);
  }
  removeForgotten(home, record.id);
}

function takenPath(at: string, other: WorkspaceRecord): GhostsnapError {
  return new GhostsnapError(
    'WORKSPACE_EXISTS',
    `Another workspace, ${other.id}, is registered for ${at}`,
    {
      hint:
        'If that one was moved as well, run "ghostsnap recover" where it is now; if it is gone, ' +
        `"ghostsnap recover --forget -w ${at}". Then run this again.`,
      data: { path: at, other: other.id },
    },
  );
}

async function recoverOpened(options: {
  readonly workspace: string;
  readonly environment: Environment;
}): Promise<RecoveryReport> {
  await using workspace = await openWorkspace(options);
  const opening = workspace.openReport;
  const report = await workspace.recover();
  return {
    adopted: [...opening.adopted, ...report.adopted],
    lost: [...opening.lost, ...report.lost],
    torn: report.torn,
    finished: [...opening.finished, ...report.finished],
    abandoned: [...opening.abandoned, ...report.abandoned],
    unfinished: report.unfinished,
  };
}
