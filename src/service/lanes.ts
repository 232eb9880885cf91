/**
 * Lanes: what a request competes with, so that a large operation never stands before a tool call.
 *
 * Each lane has places and a queue of its own in each pool: a pool's disk that hangs holds the places of
 * its own workspaces, and nobody else's. Pools share the service's places so that the threads which system
 * calls need are never all in those of pools that hang (pool-share.ts). A workspace has a bound across all lanes, since
 * its own queue is one after the other whatever lane a request came by.
 */
import type { Lane } from '../api/routes.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { WorkspaceId } from '../core/ids.ts';
import { WORKSPACE_REQUESTS_MAX } from '../core/limits.ts';
import { FairQueue, type FairQueueBounds, type Turn } from './fair-queue.ts';
import { shareAtWork, shareWaiting } from './pool-share.ts';

export type LaneBounds = Readonly<Record<Lane, Omit<FairQueueBounds, 'name'>>>;

/**
 * Snapshots share a commit when many threads are inside the system call at once, so `call` is as wide as
 * the thread pool. `turn` and `bulk` keep a thread and the disk busy for long: few at once.
 */
export const DEFAULT_LANES: LaneBounds = {
  call: { concurrent: 64, waitingMax: 4096, waitingOfTenantMax: 2048 },
  read: { concurrent: 32, waitingMax: 1024, waitingOfTenantMax: 256 },
  turn: { concurrent: 4, waitingMax: 256, waitingOfTenantMax: 64 },
  bulk: { concurrent: 2, waitingMax: 64, waitingOfTenantMax: 16 },
};

const RETRY_AFTER_MS = 1000;

const LANES: readonly Lane[] = ['call', 'read', 'turn', 'bulk'];

export interface LanesOptions {
  /** Of the service as a whole. */
  readonly bounds: LaneBounds;
  /** Pools that share them. */
  readonly poolCount: number;
  readonly monotonicMs: () => number;
}

/** Where a request is to be worked on. */
export interface LanePlace {
  readonly lane: Lane;
  readonly pool: string;
  /** null: of none yet. */
  readonly workspace: WorkspaceId | null;
}

type Queues = Readonly<Record<Lane, FairQueue>>;

export class Lanes {
  readonly #options: LanesOptions;
  #bounds: LaneBounds;
  readonly #pools = new Map<string, Queues>();
  readonly #busy = new Map<WorkspaceId, number>();
  #isClosed = false;

  constructor(options: LanesOptions) {
    this.#options = options;
    this.#bounds = options.bounds;
  }

  /** Takes effect at once; who waits or is at work stays. */
  resize(bounds: LaneBounds): void {
    this.#bounds = bounds;
    for (const queues of this.#pools.values()) {
      for (const name of LANES) queues[name].resize(this.#shareOf(name));
    }
  }

  /** Requests that wait, and that are under way. */
  depth(lane: Lane): { readonly waiting: number; readonly running: number } {
    const queues = [...this.#pools.values()].map((pool) => pool[lane]);
    return {
      waiting: queues.reduce((sum, { waiting }) => sum + waiting, 0),
      running: queues.reduce((sum, { running }) => sum + running, 0),
    };
  }

  /** @throws GhostsnapError TOO_MANY_REQUESTS, OVERLOADED, STOPPING, INTERRUPTED; what `work` throws */
  async run<T>(on: Turn & LanePlace, work: () => Promise<T>): Promise<T> {
    const { workspace } = on;
    const queue = this.#of(on.pool)[on.lane];
    if (workspace === null) return await queue.run(on, work);
    const busy = this.#busy.get(workspace) ?? 0;
    if (busy >= WORKSPACE_REQUESTS_MAX) throw tooMany(workspace);
    this.#busy.set(workspace, busy + 1);
    try {
      return await queue.run(on, work);
    } finally {
      this.#leave(workspace);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const queues of this.#pools.values()) {
      for (const name of LANES) queues[name].close();
    }
  }

  #of(pool: string): Queues {
    const known = this.#pools.get(pool);
    if (known !== undefined) return known;
    const queue = (name: Lane): FairQueue => {
      const made = new FairQueue(this.#shareOf(name), this.#options.monotonicMs);
      if (this.#isClosed) made.close();
      return made;
    };
    const queues = {
      ...{ call: queue('call'), read: queue('read'), turn: queue('turn'), bulk: queue('bulk') },
    };
    this.#pools.set(pool, queues);
    return queues;
  }

  #shareOf(name: Lane): FairQueueBounds {
    const { poolCount } = this.#options;
    const share = (bound: number): number => shareWaiting(bound, poolCount);
    const { concurrent, waitingMax, waitingOfTenantMax } = this.#bounds[name];
    return {
      ...{ name, concurrent: shareAtWork(concurrent, poolCount) },
      ...{ waitingMax: share(waitingMax), waitingOfTenantMax: share(waitingOfTenantMax) },
    };
  }

  #leave(workspace: WorkspaceId): void {
    const left = (this.#busy.get(workspace) ?? 1) - 1;
    if (left === 0) this.#busy.delete(workspace);
    else this.#busy.set(workspace, left);
  }
}

function tooMany(workspace: WorkspaceId): GhostsnapError {
  return new GhostsnapError('TOO_MANY_REQUESTS', `Too much is asked of ${workspace} at once.`, {
    hint: `At most ${WORKSPACE_REQUESTS_MAX} requests of a workspace are held: await some first.`,
    data: { workspace, retryAfterMs: RETRY_AFTER_MS },
  });
}
