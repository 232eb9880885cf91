/**
 * Workspaces for the service: the registry, the pools that it holds and the engines in them.
 *
 * Every pool is opened once and held for as long as the service runs; workspaces join that opening, so
 * that one costs an entry and no connection. The registry stays the truth about paths: a workspace that
 * the command line ended, or moved, is found out when it is opened.
 */
import fs from 'node:fs';
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';
import { nextUlid, type Ulid, type WorkspaceId, workspaceId } from '../core/ids.ts';
import { NO_USER_POLICY, type UserPolicy } from '../core/policy/combine-rules.ts';
import type { EngineWorkspace } from '../engine/engine-workspace.ts';
import type { PolicySource } from '../engine/judge-call.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import type { HostedWorkspace } from '../service/ledger.ts';
import type { ServiceStep } from '../service/service-step.ts';
import type { CloneRequest, PoolSpace, WorkspaceSource } from '../service/workspace-source.ts';
import type { Environment, Home } from './home.ts';
import { initWorkspace } from './init-workspace.ts';
import {
  closePool,
  openPool,
  openServicePool,
  requirePool,
  type ServicePool,
} from './open-pool.ts';
import { buildWorkspace } from './open-workspace.ts';
import { rulesInForce } from './policy-files.ts';
import { asPublic } from './public-edge.ts';
import {
  isInside,
  listWorkspaceRecords,
  readWorkspace,
  removeWorkspace,
  type WorkspaceRecord,
  writeWorkspace,
} from './registry.ts';
import { systemClock, systemEntropy } from './system-ports.ts';

export interface ServedWorkspacesOptions {
  readonly home: Home;
  readonly environment: Environment;
  readonly pools: readonly string[];
  readonly adoptBelow: () => readonly string[];
  /** The operator's rules as they are now; undefined: the built-in ones. */
  readonly policy: () => UserPolicy | undefined;
  readonly onStep?: ((step: ServiceStep) => void) | undefined;
}

/** A command that is at work in the pool ends within this, or the service does not start. */
const POOL_WAIT_MS = 30_000;

export class ServedWorkspaces implements WorkspaceSource, AsyncDisposable {
  readonly #options: ServedWorkspacesOptions;
  readonly #pools = new Map<string, ServicePool>();
  readonly #judging: PolicySource;
  #ulid: Ulid | '' = '';

  private constructor(options: ServedWorkspacesOptions) {
    this.#options = options;
    this.#judging = {
      rulesWith: async (file) => await rulesInForce(options.policy() ?? NO_USER_POLICY, file),
    };
  }

  /** @throws GhostsnapError LOCKED when somebody else is at work in a pool, POOL_NOT_MOUNTED */
  static async open(options: ServedWorkspacesOptions): Promise<ServedWorkspaces> {
    const served = new ServedWorkspaces(options);
    try {
      for (const name of options.pools) {
        const pool = requirePool(options.home, name);
        const { home } = options;
        served.#pools.set(name, await openServicePool({ home, pool, waitMs: POOL_WAIT_MS }));
      }
      return served;
    } catch (error) {
      await served[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pool of this.#pools.values()) await closePool(pool);
    this.#pools.clear();
  }

  /** Workspaces that the command line made in the service's pools. */
  registered(): readonly Pick<HostedWorkspace, 'id' | 'path' | 'pool' | 'backend'>[] {
    return listWorkspaceRecords(this.#options.home).filter(({ pool }) => this.#pools.has(pool));
  }

  newWorkspaceId(): WorkspaceId {
    this.#ulid = nextUlid(this.#ulid, systemClock.nowMs(), systemEntropy.ulidRandom());
    return workspaceId(this.#ulid);
  }

  nowMs(): number {
    return systemClock.nowMs();
  }

  async open(row: HostedWorkspace): Promise<Workspace> {
    const record = this.#recordOf(row);
    if (record === null) throw notRegistered(row);
    const workspace = await this.#build(record);
    try {
      await workspace.open();
      return asPublic(workspace);
    } catch (error) {
      await workspace.close();
      throw error;
    }
  }

  placeOfClone(template: HostedWorkspace, id: WorkspaceId): string {
    return path.join(this.#pool(template.pool).record.root, 'work', id);
  }

  async clone({ row, template, snapshot, signal }: CloneRequest): Promise<Workspace> {
    const { home, onStep } = this.#options;
    const record = newRecord(row);
    const { backend, record: pool } = this.#pool(row.pool);
    fs.mkdirSync(path.dirname(row.path), { recursive: true });
    writeWorkspace(home, record);
    onStep?.('create.registered');
    const workspace = await this.#build(record);
    const from = { id: template.id, path: template.path, poolRoot: pool.root };
    try {
      await workspace.create({
        make: async (ref, work) => {
          await backend.cloneWorkspace(ref, { ref: from, snapshot }, work);
          onStep?.('create.tree');
        },
        work: { signal },
      });
      return asPublic(workspace);
    } catch (error) {
      await workspace.close();
      throw error;
    }
  }

  async takeBack(row: HostedWorkspace): Promise<'gone' | 'stays'> {
    const workspace = await this.#build(newRecord(row));
    try {
      if (!(await workspace.takeBackClone())) return 'stays';
    } finally {
      await workspace.close();
    }
    removeWorkspace(this.#options.home, row.path);
    return 'gone';
  }

  /** The served pool on the same filesystem, so that nothing has to move; else the first. */
  poolFor(asked: string): string {
    this.#assertAdoptable(asked);
    const { dev } = fs.existsSync(asked) ? fs.statSync(asked) : { dev: -1 };
    const pools = [...this.#pools.values()].map(({ record }) => record);
    const near = pools.find(({ root }) => isInside(asked, root) || fs.statSync(root).dev === dev);
    return (near ?? pools[0])?.name ?? '';
  }

  async adopt(
    asked: string,
    signal: AbortSignal,
  ): Promise<Pick<HostedWorkspace, 'id' | 'path' | 'pool' | 'backend'>> {
    const { environment, home } = this.#options;
    const pool = this.poolFor(asked);
    await initWorkspace({ path: asked, pool, environment, signal });
    const record = readWorkspace(home, fs.realpathSync(asked));
    if (record !== null && this.#pools.has(record.pool)) return record;
    throw new GhostsnapError('NOT_PERMITTED', `It is in a pool that is not served: ${asked}`, {
      hint: `Serve the pool ${record?.pool ?? ''} as well, or take another directory.`,
      data: { path: asked },
    });
  }

  inherited(): readonly { readonly pool: string; readonly workspaces: readonly WorkspaceId[] }[] {
    return [...this.#pools]
      .filter(([, { locks }]) => locks.isInherited)
      .map(([pool, { catalog }]) => {
        const rows = catalog.listWorkspaces().filter(({ status }) => status !== 'destroyed');
        return { pool, workspaces: rows.map(({ workspace }) => workspace) };
      });
  }

  allLookedAt(pool: string): void {
    this.#pool(pool).locks.allLookedAt();
  }

  pools(): readonly PoolSpace[] {
    return [...this.#pools.values()].map(({ record, backend }) => ({
      name: record.name,
      ...backend.space(record.root),
    }));
  }

  snapshotsIn({ id, pool }: HostedWorkspace): number {
    return this.#pools.get(pool)?.catalog.loadState(id)?.snapshotCount ?? 0;
  }

  /** By its real path: a symlink inside leads nowhere else. */
  #assertAdoptable(asked: string): void {
    const real = fs.existsSync(asked) ? fs.realpathSync(asked) : asked;
    const roots = this.#options.adoptBelow();
    if (roots.some((root) => real !== root && isInside(real, fs.realpathSync(root)))) return;
    throw new GhostsnapError('NOT_PERMITTED', `Nothing may be adopted there: ${asked}`, {
      hint: 'Name its parent in "adoptBelow" of the configuration.',
      data: { path: asked },
    });
  }

  #pool(name: string): ServicePool {
    const pool = this.#pools.get(name);
    if (pool !== undefined) return pool;
    throw new GhostsnapError('POOL_NOT_FOUND', `The pool ${name} is not served.`, {
      hint: 'Name it in "pools" of the configuration and start the service again.',
      data: { pool: name },
    });
  }

  #recordOf(row: HostedWorkspace): WorkspaceRecord | null {
    const record = readWorkspace(this.#options.home, row.path);
    return record?.id === row.id ? record : null;
  }

  async #build(record: WorkspaceRecord): Promise<EngineWorkspace> {
    const { home, environment } = this.#options;
    const pool = this.#pool(record.pool).record;
    const parts = await openPool({ home, pool, watch: 'on' });
    return buildWorkspace({ home, environment, record, parts, judging: this.#judging });
  }
}

function newRecord({ id, path: where, pool, backend }: HostedWorkspace): WorkspaceRecord {
  return { format: 1, id, path: where, pool, backend, movedTo: null };
}

function notRegistered(row: HostedWorkspace): GhostsnapError {
  return new GhostsnapError('WORKSPACE_NOT_FOUND', `It is no workspace any more: ${row.path}`, {
    hint: 'It was ended or moved; adopt it where it is now.',
    data: { workspace: row.id, path: row.path },
  });
}
