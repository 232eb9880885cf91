/**
 * Making a directory a workspace.
 *
 * The registry entry and the catalog's first event are written before the backend touches anything: a
 * crash is then found by the next `init` or `open` of the path, which finishes or takes it back. Init
 * ends with a first snapshot, so that there is a state to go back to before the first tool call.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { UncoveredPath, WorkspaceRef } from '../backend/backend.ts';
import type { BtrfsBackend } from '../backend/btrfs/btrfs-backend.ts';
import { isThere } from '../backend/is-there.ts';
import { probeFilesystem } from '../backend/probe.ts';
import { GhostsnapError } from '../core/errors.ts';
import { nextUlid, workspaceId } from '../core/ids.ts';
import type { EngineWorkspace } from '../engine/engine-workspace.ts';
import { GHOST_DIRECTORY, type PoolRecord } from '../pool/pool.ts';
import { choosePool, makePool } from './choose-pool.ts';
import { checkWorkspacePath } from './dangerous-paths.ts';
import { findMoved } from './find-moved.ts';
import { type Environment, type Home, resolveHome } from './home.ts';
import { closePool, type OpenPool, openPool } from './open-pool.ts';
import { buildWorkspace } from './open-workspace.ts';
import { atPublicEdge } from './public-edge.ts';
import {
  findWorkspaceAround,
  isInside,
  listPoolRecords,
  listWorkspaceRecords,
  readPool,
  removeWorkspace,
  type WorkspaceRecord,
  writeWorkspace,
} from './registry.ts';
import { systemClock, systemEntropy, systemEnvironment } from './system-ports.ts';

export interface InitWorkspaceOptions {
  readonly path: string;
  /** A pool's name, or a directory to keep snapshots in. */
  readonly pool?: string;
  readonly backend?: 'btrfs' | 'store' | 'auto';
  readonly force?: 'yes' | 'no';
  readonly environment?: Environment;
  readonly onProgress?: (done: number, total: number | null) => void;
  readonly signal?: AbortSignal;
  readonly onStep?: (label: string) => void;
}

export interface InitWorkspaceResult {
  readonly workspace: string;
  readonly path: string;
  readonly backend: string;
  readonly pool: string;
  readonly uncovered: readonly UncoveredPath[];
  /** It was a workspace before; nothing was changed. */
  readonly already: boolean;
  /** 'taken' also for one that was there already but had none: an earlier init was cut short. */
  readonly firstSnapshot: 'taken' | 'there';
}

/**
 * @throws GhostsnapError DANGEROUS_WORKSPACE, WORKSPACE_NESTED, POOL_INSIDE_WORKSPACE, NOT_PERMITTED,
 *   POOL_FULL, POOL_NOT_FOUND, UNSUPPORTED_FILESYSTEM, VERIFY_FAILED
 */
export async function initWorkspace(options: InitWorkspaceOptions): Promise<InitWorkspaceResult> {
  return await atPublicEdge('Making the workspace', options.path, () => init(options));
}

async function init(options: InitWorkspaceOptions): Promise<InitWorkspaceResult> {
  const environment = options.environment ?? systemEnvironment();
  const home = resolveHome(environment);
  const workspacePath = realDirectory(path.resolve(environment.cwd, options.path));
  const known = findWorkspaceAround(home, workspacePath);
  if (known?.path === workspacePath) {
    const there = await alreadyThere({ home, environment, record: known }, options);
    return there ?? (await init(options));
  }
  const force = options.force ?? 'no';
  checkWorkspacePath({
    path: workspacePath,
    homeDir: environment.homeDir,
    ghostsnapHome: home.data,
    force,
  });
  assertNotNested(home, workspacePath, known);
  await assertNotMoved(home, workspacePath);
  const pool = poolFor(home, environment, workspacePath, options);
  const id = workspaceId(nextUlid('', systemClock.nowMs(), systemEntropy.ulidRandom()));
  const backend = pool.kind === 'store' ? 'store' : 'btrfs';
  const mustMove = backend === 'btrfs' && !isOnSameFilesystem(workspacePath, pool.root);
  const movedTo = mustMove ? path.join(pool.root, 'work', id) : null;
  const record: WorkspaceRecord = {
    ...{ format: 1, id, path: workspacePath, pool: pool.name, backend, movedTo },
  };
  const parts = await openPool({ home, pool, watch: 'off' });
  try {
    return await carryOut({ home, environment, record, parts }, options);
  } finally {
    await closePool(parts);
  }
}

interface InitContext {
  readonly home: Home;
  readonly environment: Environment;
  readonly record: WorkspaceRecord;
  readonly parts: OpenPool;
}

async function carryOut(
  context: InitContext,
  options: InitWorkspaceOptions,
): Promise<InitWorkspaceResult> {
  const { home, record, parts } = context;
  const workspace = buildWorkspace(context);
  writeWorkspace(home, record);
  try {
    await workspace.create({
      make: record.movedTo === null ? null : moveIntoPool(parts),
      work: workOf(options),
    });
  } catch (error) {
    if (!(await workspace.takeBackCreation())) throw withoutSnapshot(error, record.path);
    removeWorkspace(home, record.path);
    throw error;
  }
  const uncovered = await parts.backend.listUncovered(refOf(record, parts.record));
  const { id, path: where, backend, pool } = record;
  const made = { workspace: id, path: where, backend, pool, uncovered };
  return { ...made, already: false, firstSnapshot: 'taken' };
}

/** The tree is a workspace and only what init ends with is missing: whoever is told must know both. */
function withoutSnapshot(error: unknown, at: string): unknown {
  if (!(error instanceof GhostsnapError)) return error;
  const { code, message, data, hint } = error;
  const next = `${at} is a workspace without a snapshot now: then run "ghostsnap init" again.`;
  return new GhostsnapError(code, message, {
    hint: hint === undefined ? next : `${hint} ${next}`,
    data,
    cause: error,
  });
}

type Work = Parameters<BtrfsBackend['moveIntoPool']>[1];

/** Only a btrfs pool can take in a tree from another filesystem. */
function moveIntoPool(parts: OpenPool): (ref: WorkspaceRef, work: Work) => Promise<void> {
  const { backend } = parts;
  if (!('moveIntoPool' in backend)) {
    throw new GhostsnapError(
      'UNSUPPORTED_MODE',
      `The pool ${parts.record.name} takes in no trees.`,
    );
  }
  return (ref, work) => (backend as BtrfsBackend).moveIntoPool(ref, work);
}

function workOf(options: InitWorkspaceOptions): Work {
  return {
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.onStep === undefined ? {} : { onStep: options.onStep }),
  };
}

/** null: an earlier init was cut short before the disk was ready; it is taken back, begin anew. */
async function alreadyThere(
  known: Omit<InitContext, 'parts'>,
  options: InitWorkspaceOptions,
): Promise<InitWorkspaceResult | null> {
  const { home, environment, record } = known;
  const pool = readPool(home, record.pool);
  if (pool === null) {
    throw new GhostsnapError(
      'POOL_NOT_FOUND',
      `The pool ${record.pool} of ${record.path} is gone.`,
      {
        hint: 'Bring back its pool.json, or set GHOSTSNAP_HOME to where it is.',
      },
    );
  }
  const parts = await openPool({ home, pool, watch: 'off' });
  const workspace = buildWorkspace({ home, environment, record, parts });
  // The registry comes first: the power may have gone before the catalog's first event. But a catalog may
  // also have been lost, and a workspace that has snapshots is never taken for one that was not made.
  const status = parts.catalog.loadState(record.id)?.status ?? 'creating';
  try {
    const hasSnapshots = parts.backend.listSnapshots(refOf(record, pool)).length > 0;
    const isUnfinished = status === 'creating' && !hasSnapshots;
    try {
      await workspace.open();
    } catch (error) {
      // An interrupted "destroy" was ended, and its registration with it.
      if (error instanceof GhostsnapError && error.code === 'WORKSPACE_DESTROYED') return null;
      if (!isUnfinished || !(await workspace.takeBackCreation())) throw error;
      removeWorkspace(home, record.path);
      return null;
    }
    parts.backend.identify(refOf(record, pool));
    const firstSnapshot = await ensureSnapshot(workspace, options);
    const uncovered = await parts.backend.listUncovered(refOf(record, pool));
    const { id, path: where, backend } = record;
    const made = { workspace: id, path: where, backend, pool: pool.name, uncovered };
    return { ...made, already: true, firstSnapshot };
  } finally {
    await workspace.close();
  }
}

/** The promise of init is a state to go back to, whatever became of the first attempt. */
async function ensureSnapshot(
  workspace: EngineWorkspace,
  options: InitWorkspaceOptions,
): Promise<InitWorkspaceResult['firstSnapshot']> {
  if (workspace.list({ limit: 1 }).length > 0) return 'there';
  await workspace.snapshot({ ...workOf(options), label: 'init' });
  return 'taken';
}

function refOf(record: WorkspaceRecord, pool: PoolRecord): WorkspaceRef {
  return { id: record.id, path: record.path, poolRoot: pool.root };
}

function realDirectory(asked: string): string {
  if (!isThere(asked)) {
    throw new GhostsnapError('BAD_ARGUMENT', `There is no directory ${asked}`, {
      hint: 'Name an existing directory.',
      data: { path: asked },
    });
  }
  if (!fs.statSync(asked).isDirectory()) {
    throw new GhostsnapError('BAD_ARGUMENT', `${asked} is not a directory.`, {
      hint: 'Name the directory that holds the project.',
      data: { path: asked },
    });
  }
  return fs.realpathSync(asked);
}

/** A workspace that was moved here keeps its snapshots: it is bound to its new path, not made anew. */
async function assertNotMoved(home: Home, workspacePath: string): Promise<void> {
  const moved = await findMoved(home, workspacePath);
  if (moved === null) return;
  const { path: from } = moved.record;
  throw new GhostsnapError(
    'WORKSPACE_EXISTS',
    `${moved.path} is the workspace that was at ${from} before`,
    {
      hint: `Bind it to where it is now with "ghostsnap recover -w ${moved.path}".`,
      data: { path: moved.path, from, workspace: moved.record.id },
    },
  );
}

/** Two workspaces that overlap would each roll back the other's work. */
function assertNotNested(home: Home, workspacePath: string, around: WorkspaceRecord | null): void {
  const inside = listWorkspaceRecords(home).find((record) => isInside(record.path, workspacePath));
  const other = around ?? inside;
  if (other === undefined || other === null) return;
  throw new GhostsnapError(
    'WORKSPACE_NESTED',
    `${workspacePath} overlaps with the workspace ${other.path}`,
    {
      hint: `Use that one, or end it first with "ghostsnap destroy -w ${other.path}".`,
      data: { path: workspacePath, other: other.path },
    },
  );
}

function poolFor(
  home: Home,
  environment: Environment,
  workspacePath: string,
  options: InitWorkspaceOptions,
): PoolRecord {
  const asked = options.backend ?? 'auto';
  if (options.pool !== undefined)
    return namedPool(home, environment, workspacePath, options.pool, asked);
  const probe = probeFilesystem(workspacePath);
  if (asked === 'btrfs' && !probe.isBtrfs) {
    throw new GhostsnapError(
      'UNSUPPORTED_FILESYSTEM',
      `${workspacePath} is on ${probe.type}, not on btrfs.`,
      {
        hint: 'Make a pool with "ghostsnap pool create NAME" and pass --pool NAME, or take --backend store.',
      },
    );
  }
  const backend = asked === 'auto' ? (probe.isBtrfs ? 'btrfs' : 'store') : asked;
  const filesystemOf = probeFilesystem;
  return choosePool({ home, uid: environment.uid, workspacePath, backend, filesystemOf });
}

function namedPool(
  home: Home,
  environment: Environment,
  workspacePath: string,
  asked: string,
  backend: 'btrfs' | 'store' | 'auto',
): PoolRecord {
  const named = asked.includes('/') ? null : readPool(home, asked);
  const root = path.resolve(environment.cwd, asked);
  const found = named ?? listPoolRecords(home).find((pool) => pool.root === root) ?? null;
  if (found !== null) {
    if (isInside(found.root, workspacePath)) throw poolInside(found.root, workspacePath);
    return found;
  }
  if (!asked.includes('/')) {
    throw new GhostsnapError('POOL_NOT_FOUND', `There is no pool ${asked}.`, {
      hint: 'List the pools with "ghostsnap pool list"; a directory is given with a slash, as ./DIR.',
      data: { pool: asked },
    });
  }
  if (isInside(root, workspacePath)) throw poolInside(root, workspacePath);
  fs.mkdirSync(root, { recursive: true, mode: 0o700 });
  const kind = backend === 'store' || !probeFilesystem(root).isBtrfs ? 'store' : 'btrfs';
  const name = `${kind}-${
    path
      .basename(root)
      .replaceAll(/[^A-Za-z0-9]/g, '')
      .slice(0, 24) || 'pool'
  }`;
  const isTaken = readPool(home, name) !== null;
  const suffix = isTaken ? `-${Date.now().toString(36)}` : '';
  return makePool({ home, backend: kind }, `${name}${suffix}`, root);
}

function poolInside(root: string, workspacePath: string): GhostsnapError {
  return new GhostsnapError(
    'POOL_INSIDE_WORKSPACE',
    `The pool ${root} lies inside the workspace ${workspacePath}`,
    {
      hint: 'Choose a pool outside: what destroys the workspace must not reach its snapshots.',
      data: { pool: root, path: workspacePath, directory: GHOST_DIRECTORY },
    },
  );
}

function isOnSameFilesystem(a: string, b: string): boolean {
  return probeFilesystem(a).id === probeFilesystem(b).id;
}
