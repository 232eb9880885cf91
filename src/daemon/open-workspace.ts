/**
 * Opening a workspace: from a directory to the public `Workspace`.
 *
 * Every open proves that the registry, the pool and the path still belong together, and ends what a
 * crash left. Reading commands open with `readOnly` and neither wait nor mend.
 */
import fs from 'node:fs';
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';
import { DEFAULT_RETENTION_POLICY, type RetentionPolicy } from '../core/retention/policy.ts';
import { parseTraceVariables } from '../core/trace-context.ts';
import { EngineWorkspace } from '../engine/engine-workspace.ts';
import type { PolicySource } from '../engine/judge-call.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import type { WorkspaceHost } from '../engine/workspace-host.ts';
import { WorkspaceSession } from '../engine/workspace-session.ts';
import { pruneInBackground, pruneSoon, takeBackPrune } from './background-prune.ts';
import { bisectUnderWay, removeBisect } from './bisect-file.ts';
import { loadRetentionPolicy } from './config.ts';
import { type Environment, type Home, resolveHome } from './home.ts';
import { locatePath } from './locate-path.ts';
import { closePool, closePoolSync, type OpenPool, openPool, requirePool } from './open-pool.ts';
import { assertNotOwnPlaces } from './own-places.ts';
import { asPublic, atPublicEdge } from './public-edge.ts';
import { listWorkspaceRecords, removeWorkspace, type WorkspaceRecord } from './registry.ts';
import { systemEnvironment } from './system-ports.ts';
import { workspaceAround } from './workspace-around.ts';

export interface OpenWorkspaceOptions {
  /** A directory in the workspace; default: the one around the current directory. */
  readonly workspace?: string;
  readonly environment?: Environment;
  /** 'on' keeps the set of changed paths from file events (store backend, long-lived engines). */
  readonly watch?: 'on' | 'off';
  /** 'yes': for reading; nothing is recovered and no lock is taken. */
  readonly readOnly?: 'yes' | 'no';
}

/**
 * Opens the workspace around a directory.
 * @throws GhostsnapError WORKSPACE_NOT_FOUND, POOL_NOT_MOUNTED, POOL_NOT_FOUND, LOCKED, CATALOG_CORRUPT
 */
export async function openWorkspace(options: OpenWorkspaceOptions = {}): Promise<Workspace> {
  const { workspace: asked = '.' } = options;
  return await atPublicEdge('Opening the workspace', asked, () => open(options));
}

async function open(options: OpenWorkspaceOptions): Promise<Workspace> {
  const environment = options.environment ?? systemEnvironment();
  const home = resolveHome(environment);
  const record = findRecord(home, environment, options.workspace);
  const pool = requirePool(home, record.pool);
  const watch = options.watch ?? 'off';
  if (pool.kind === 'store' && watch === 'off' && options.readOnly !== 'yes') {
    const { expectLook } = await import('../backend/store/expect-look.ts');
    expectLook({ id: record.id, path: record.path, poolRoot: pool.root });
  }
  const parts = await openPool({ home, pool, watch });
  const workspace = buildWorkspace({ home, environment, record, parts });
  try {
    // A catalog that knows nothing shows nothing: what is on disk is learnt first, also for a reader.
    if (options.readOnly !== 'yes' || workspace.isUnknown) await workspace.open();
    return asPublic(workspace);
  } catch (error) {
    await workspace.close();
    throw error;
  }
}

/** @throws GhostsnapError WORKSPACE_NOT_FOUND */
export function findRecord(
  home: Home,
  environment: Environment,
  directory: string | undefined,
): WorkspaceRecord {
  const asked = path.resolve(environment.cwd, directory ?? '.');
  const found = workspaceAround(home, asked);
  if (found !== null) return found;
  const isSomeGone = listWorkspaceRecords(home).some((record) => !fs.existsSync(record.path));
  throw new GhostsnapError('WORKSPACE_NOT_FOUND', `No workspace is at or around ${asked}`, {
    hint: isSomeGone
      ? 'If a workspace was moved here, run "ghostsnap recover" here; else "ghostsnap init".'
      : 'Protect a directory with "ghostsnap init DIR", or name one with -w.',
    data: { path: asked },
  });
}

export interface BuildWorkspaceOptions {
  readonly home: Home;
  readonly environment: Environment;
  readonly record: WorkspaceRecord;
  readonly parts: OpenPool;
  /** The rules that calls are judged by; default: those of the person's config.json. */
  readonly judging?: PolicySource;
}

/** Puts an engine workspace together; nothing is opened or recovered yet. */
export function buildWorkspace(options: BuildWorkspaceOptions): EngineWorkspace {
  const { record, parts } = options;
  const ref = { id: record.id, path: record.path, poolRoot: parts.record.root };
  const trace = parseTraceVariables(options.environment.env);
  const ports = trace === null ? parts : { ...parts, trace };
  return new EngineWorkspace(new WorkspaceSession(ref, ports), hostOf(options));
}

/** One for all workspaces of an opened pool, which all have the same home and environment. */
const hosts = new WeakMap<OpenPool, WorkspaceHost>();

function hostOf(options: BuildWorkspaceOptions): WorkspaceHost {
  const known = hosts.get(options.parts);
  if (known !== undefined) return known;
  const host = makeHost(options);
  hosts.set(options.parts, host);
  return host;
}

function makeHost(options: BuildWorkspaceOptions): WorkspaceHost {
  const { home, environment, record, parts } = options;
  const policy = (): RetentionPolicy => loadRetentionPolicy(home, DEFAULT_RETENTION_POLICY);
  // A file that cannot be used is an error now and not in the background.
  policy();
  return {
    pool: parts.record.name,
    backend: record.backend,
    policy,
    locate: locatePath,
    assertWritable: (workspace, places) => assertNotOwnPlaces(home, workspace, places),
    bisect: (workspace) => bisectUnderWay(home, workspace),
    closing: (workspace) => {
      if (takeBackPrune(workspace)) pruneInBackground(environment, workspace.info.path);
    },
    judging: options.judging ?? {
      rulesWith: async (file) =>
        await (await import('./policy-files.ts')).policySource(home).rulesWith(file),
    },
    release: () => closePool(parts),
    releaseSync: () => closePoolSync(parts),
    pruneDue: pruneSoon,
    forget: (workspace) => {
      takeBackPrune(workspace);
      removeBisect(home, workspace.info.workspace);
      removeWorkspace(home, workspace.info.path);
    },
  };
}
