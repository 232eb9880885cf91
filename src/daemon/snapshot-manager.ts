/**
 * The synchronous API, as its first user wrote it: `new SnapshotManager().createSnapshot(): string`.
 *
 * It opens the workspace around a directory and holds it open, so that a snapshot costs one ioctl and
 * one catalog row. Everything it does blocks the thread; the asynchronous `Workspace` does the rest.
 */
import { createBtrfsBackend } from '../backend/btrfs/btrfs-backend.ts';
import { withCodedFailures } from '../backend/coded-backend.ts';
import { createStoreBackend } from '../backend/store/store-backend.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotLabels } from '../core/event.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import { type Environment, resolveHome } from './home.ts';
import { assertReachable, openIndex, requirePool } from './open-pool.ts';
import { buildWorkspace, findRecord } from './open-workspace.ts';
import { asPublic, atPublicEdgeSync } from './public-edge.ts';
import { systemEnvironment } from './system-ports.ts';

export interface SnapshotManagerOptions {
  /** A directory in the workspace; default: the one around the current directory. */
  readonly workspace?: string;
  /** The name of the pool that the workspace must be in. */
  readonly pool?: string;
  readonly environment?: Environment;
  /** 'on' (default): the store keeps its set of changed paths from file events. */
  readonly watch?: 'on' | 'off';
}

export class SnapshotManager implements Disposable {
  /** The same workspace through the asynchronous API; closed with the manager. */
  readonly workspace: Workspace;

  /**
   * @throws GhostsnapError WORKSPACE_NOT_FOUND, POOL_NOT_FOUND, POOL_NOT_MOUNTED, LOCKED,
   *   OPERATION_IN_FLIGHT
   */
  constructor(options: SnapshotManagerOptions = {}) {
    const { workspace: asked = '.' } = options;
    this.workspace = atPublicEdgeSync('Opening the workspace', asked, () => openSync(options));
  }

  /**
   * Takes a snapshot of the workspace; durable on return.
   * @returns its id, `ghost_<ulid>`, greater than every id before
   * @throws GhostsnapError POOL_FULL, WORKSPACE_GONE, WORKSPACE_REPLACED, SWAP_FILE_ACTIVE, LOCKED
   */
  createSnapshot(labels: Partial<SnapshotLabels> = {}): string {
    return this.workspace.snapshotSync(labels).id;
  }

  close(): void {
    this.workspace[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function openSync(options: SnapshotManagerOptions): Workspace {
  const environment = options.environment ?? systemEnvironment();
  const home = resolveHome(environment);
  const record = findRecord(home, environment, options.workspace);
  if (options.pool !== undefined && options.pool !== record.pool) {
    throw new GhostsnapError(
      'POOL_NOT_FOUND',
      `The workspace ${record.path} is in the pool ${record.pool}, not in ${options.pool}.`,
      { hint: 'Leave the pool out, or name that one.' },
    );
  }
  const pool = requirePool(home, record.pool);
  assertReachable(pool);
  const backend =
    pool.kind === 'store'
      ? createStoreBackend({ watch: options.watch ?? 'on' })
      : createBtrfsBackend();
  const parts = { ...openIndex({ home, pool }), backend: withCodedFailures(backend) };
  const workspace = buildWorkspace({ home, environment, record, parts });
  try {
    workspace.openSync();
  } catch (error) {
    workspace[Symbol.dispose]();
    throw error;
  }
  return asPublic(workspace);
}
