/**
 * Forgetting a workspace whose directory is gone for good.
 *
 * It leaves the register, so that its path is free again. Its snapshots stay, and `recover` takes it back
 * by its path or in a directory that turns out to be it; only when asked are they deleted, which cannot be
 * taken back. A workspace that is there is refused: `destroy` ends that one.
 */
import fs from 'node:fs';
import path from 'node:path';
import { isThere } from '../backend/is-there.ts';
import { GhostsnapError } from '../core/errors.ts';
import { GHOST_DIRECTORY } from '../pool/pool.ts';
import { isInPlace } from './find-moved.ts';
import { type Environment, type Home, resolveHome } from './home.ts';
import { openPool, requirePool } from './open-pool.ts';
import { buildWorkspace } from './open-workspace.ts';
import { atPublicEdge } from './public-edge.ts';
import {
  findWorkspaceAround,
  listForgotten,
  readPool,
  removeForgotten,
  removeLeftRecords,
  removeWorkspace,
  setForgotten,
  type WorkspaceRecord,
} from './registry.ts';
import { systemEnvironment } from './system-ports.ts';

export interface ForgetWorkspaceOptions {
  /** The path it had. */
  readonly workspace?: string;
  readonly snapshots: 'keep' | 'delete';
  readonly environment?: Environment;
  /** Labelled steps, for tests that kill the process there. */
  readonly onStep?: (label: string) => void;
}

export interface ForgottenWorkspace {
  readonly workspace: string;
  readonly path: string;
  readonly removedSnapshots: number;
  /** The directory that still holds its snapshots; null: none does. */
  readonly keptAt: string | null;
}

/** @throws GhostsnapError WORKSPACE_NOT_FOUND, WORKSPACE_EXISTS, POOL_NOT_MOUNTED, POOL_NOT_FOUND */
export async function forgetWorkspace(
  options: ForgetWorkspaceOptions,
): Promise<ForgottenWorkspace> {
  const { workspace: asked = '.' } = options;
  return await atPublicEdge('Forgetting the workspace', asked, () => forget(options));
}

async function forget(options: ForgetWorkspaceOptions): Promise<ForgottenWorkspace> {
  const environment = options.environment ?? systemEnvironment();
  const home = resolveHome(environment);
  const asked = path.resolve(environment.cwd, options.workspace ?? '.');
  removeLeftRecords(home);
  const record = recordOf(home, asked);
  await assertAway(home, record);
  const { id: workspace, path: where } = record;
  if (options.snapshots === 'keep') {
    setForgotten(home, record);
    return { workspace, path: where, removedSnapshots: 0, keptAt: keptAt(home, record) };
  }
  const pool = requirePool(home, record.pool);
  const parts = await openPool({ home, pool, watch: 'off' });
  await using engine = buildWorkspace({ home, environment, record, parts });
  const removedSnapshots = await engine.abandon(options.onStep);
  // Last: until then a second call finds what is left to do.
  removeForgotten(home, record.id);
  const isRegistered = findWorkspaceAround(home, where)?.id === record.id;
  if (isRegistered) removeWorkspace(home, where);
  return { workspace, path: where, removedSnapshots, keptAt: null };
}

function recordOf(home: Home, asked: string): WorkspaceRecord {
  const found =
    findWorkspaceAround(home, asked) ??
    listForgotten(home).find((forgotten) => forgotten.path === asked);
  if (found !== undefined && found !== null) return found;
  throw new GhostsnapError('WORKSPACE_NOT_FOUND', `No workspace is or was at ${asked}`, {
    hint: 'Name the path it had with -w.',
    data: { path: asked },
  });
}

/** Where its own tree is: a workspace in a pool is not gone when only the way to it is. */
async function assertAway(home: Home, record: WorkspaceRecord): Promise<void> {
  const { movedTo } = record;
  const isInPool = movedTo !== null && isThere(movedTo);
  if (!isInPool && !(await isInPlace(home, record))) return;
  const at = isInPool ? movedTo : record.path;
  throw new GhostsnapError('WORKSPACE_EXISTS', `The workspace is there, at ${at}`, {
    hint: isInPool
      ? 'Make the way to it again with "ghostsnap recover".'
      : 'End it with "ghostsnap destroy", which keeps its directory.',
    data: { path: at, workspace: record.id },
  });
}

function keptAt(home: Home, record: WorkspaceRecord): string | null {
  const pool = readPool(home, record.pool);
  if (pool === null) return null;
  const directory = path.join(pool.root, GHOST_DIRECTORY, record.id);
  return fs.existsSync(directory) ? directory : null;
}
