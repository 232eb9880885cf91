/**
 * Arming after a tool call has ended: the next snapshot is taken while nobody waits.
 *
 * A bounded queue with few at work. What does not fit is not armed, and the next tool call takes a fresh
 * snapshot: nothing but time is lost.
 */
import type { WorkspaceId } from '../core/ids.ts';

export interface BackgroundArmingOptions {
  readonly arm: (workspace: WorkspaceId) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const WAITING_MAX = 4096;
const CONCURRENT = 8;

export class BackgroundArming {
  readonly #options: BackgroundArmingOptions;
  readonly #waiting = new Set<WorkspaceId>();
  readonly #atWork = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: BackgroundArmingOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  add(workspace: WorkspaceId): void {
    if (this.#isClosed || this.#waiting.size >= WAITING_MAX) return;
    this.#waiting.add(workspace);
    this.#next();
  }

  /** A tool call is about to take its own snapshot. */
  takeBack(workspace: WorkspaceId): void {
    this.#waiting.delete(workspace);
  }

  /** What waits is dropped, what is under way is awaited. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting.clear();
    await Promise.all(this.#atWork);
  }

  #next(): void {
    if (this.#atWork.size >= CONCURRENT) return;
    const [workspace] = this.#waiting;
    if (workspace === undefined) return;
    this.#waiting.delete(workspace);
    const work = this.#options
      .arm(workspace)
      .catch(this.#options.onError)
      .finally(() => {
        this.#atWork.delete(work);
        this.#next();
      });
    this.#atWork.add(work);
  }
}
