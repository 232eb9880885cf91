/**
 * Lanes: what a request competes with, so that a large operation never stands before a tool call.
 *
 * Each lane has places and a queue of its own. A workspace has a bound across all of them, since its own
 * queue is one after the other whatever lane a request came by.
 */
import type { Lane } from '../api/routes.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { WorkspaceId } from '../core/ids.ts';
import { WORKSPACE_REQUESTS_MAX } from '../core/limits.ts';
import { FairQueue, type FairQueueBounds, type Turn } from './fair-queue.ts';

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

export class Lanes {
  readonly #queues: Readonly<Record<Lane, FairQueue>>;
  readonly #busy = new Map<WorkspaceId, number>();

  constructor(bounds: LaneBounds, monotonicMs: () => number) {
    const queue = (name: Lane): FairQueue => new FairQueue({ name, ...bounds[name] }, monotonicMs);
    this.#queues = {
      ...{ call: queue('call'), read: queue('read'), turn: queue('turn'), bulk: queue('bulk') },
    };
  }

  /** Takes effect at once; who waits or is at work stays. */
  resize(bounds: LaneBounds): void {
    for (const name of LANES) this.#queues[name].resize({ name, ...bounds[name] });
  }

  /** Requests that wait, and that are under way. */
  depth(lane: Lane): { readonly waiting: number; readonly running: number } {
    const { waiting, running } = this.#queues[lane];
    return { waiting, running };
  }

  /** @throws GhostsnapError TOO_MANY_REQUESTS, OVERLOADED, STOPPING, INTERRUPTED; what `work` throws */
  async run<T>(
    on: Turn & { readonly lane: Lane; readonly workspace: WorkspaceId | null },
    work: () => Promise<T>,
  ): Promise<T> {
    const { workspace } = on;
    if (workspace === null) return await this.#queues[on.lane].run(on, work);
    const busy = this.#busy.get(workspace) ?? 0;
    if (busy >= WORKSPACE_REQUESTS_MAX) throw tooMany(workspace);
    this.#busy.set(workspace, busy + 1);
    try {
      return await this.#queues[on.lane].run(on, work);
    } finally {
      this.#leave(workspace);
    }
  }

  close(): void {
    for (const queue of Object.values(this.#queues)) queue.close();
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
