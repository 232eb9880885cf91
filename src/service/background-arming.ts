/**
 * Arming after a tool call has ended: the next snapshot is taken while nobody waits.
 *
 * A bounded queue for each pool, with few at work. What does not fit is not armed, and the next tool call takes a fresh
 * snapshot: nothing but time is lost.
 */
import type { WorkspaceId } from '../core/ids.ts';
import { shareAtWork, shareWaiting } from './pool-share.ts';

export interface BackgroundArmingOptions {
  /** Pools that share the bounds. */
  readonly poolCount: number;
  readonly arm: (workspace: WorkspaceId) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const WAITING_MAX = 4096;
const CONCURRENT = 8;

interface PoolArming {
  readonly waiting: Set<WorkspaceId>;
  readonly atWork: Set<Promise<void>>;
}

export class BackgroundArming {
  readonly #options: BackgroundArmingOptions;
  readonly #pools = new Map<string, PoolArming>();
  #isClosed = false;

  constructor(options: BackgroundArmingOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return [...this.#pools.values()].reduce((sum, { waiting }) => sum + waiting.size, 0);
  }

  add(workspace: WorkspaceId, pool: string): void {
    const arming = this.#of(pool);
    const waitingMax = shareWaiting(WAITING_MAX, this.#options.poolCount);
    if (this.#isClosed || arming.waiting.size >= waitingMax) return;
    arming.waiting.add(workspace);
    this.#next(arming);
  }

  /** A tool call is about to take its own snapshot. */
  takeBack(workspace: WorkspaceId): void {
    for (const { waiting } of this.#pools.values()) waiting.delete(workspace);
  }

  /** What waits is dropped, what is under way is awaited. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { waiting } of this.#pools.values()) waiting.clear();
    await Promise.all([...this.#pools.values()].flatMap(({ atWork }) => [...atWork]));
  }

  #of(pool: string): PoolArming {
    const known = this.#pools.get(pool);
    if (known !== undefined) return known;
    const made = { waiting: new Set<WorkspaceId>(), atWork: new Set<Promise<void>>() };
    this.#pools.set(pool, made);
    return made;
  }

  #next(arming: PoolArming): void {
    if (arming.atWork.size >= shareAtWork(CONCURRENT, this.#options.poolCount)) return;
    const [workspace] = arming.waiting;
    if (workspace === undefined) return;
    arming.waiting.delete(workspace);
    const work = this.#options
      .arm(workspace)
      .catch(this.#options.onError)
      .finally(() => {
        arming.atWork.delete(work);
        this.#next(arming);
      });
    arming.atWork.add(work);
  }
}
