/**
 * Following the events of a workspace: from a sequence on, in order, without a gap, each once.
 *
 * The catalog is what is read, a page at a time; what is said here only wakes those who wait, so that a
 * wake-up that is lost costs time and never an event. What happens in the background (arming, counting,
 * retention) wakes nobody: therefore the catalog is looked at every now and then as well.
 */
import type { EventView } from '../api/schema/operations.ts';
import type { Event } from '../core/event.ts';
import type { WorkspaceId } from '../core/ids.ts';
import { eventView } from './wire-views.ts';

/** Events read at once for one follower, and held while it reads: thousands may follow and read nothing. */
const PAGE = 32;
/** How late an event that woke nobody may come. */
const LOOK_MS = 1000;

export class EventFeed {
  readonly #waiting = new Map<WorkspaceId, Set<() => void>>();

  /** Something may have happened to the workspace. */
  wake(workspace: WorkspaceId): void {
    const waiting = this.#waiting.get(workspace);
    if (waiting === undefined) return;
    this.#waiting.delete(workspace);
    for (const resume of waiting) resume();
  }

  /** @param read a page of the catalog, those after a sequence */
  async *follow(
    workspace: WorkspaceId,
    from: { readonly after: number; readonly signal: AbortSignal },
    read: (after: number, limit: number) => Promise<readonly Event[]>,
  ): AsyncIterable<EventView> {
    let { after } = from;
    while (!from.signal.aborted) {
      const page = await read(after, PAGE);
      for (const event of page) {
        yield eventView(event);
        after = event.sequence;
        if (from.signal.aborted) return;
      }
      if (page.length === 0) await this.#wait(workspace, from.signal);
    }
  }

  #wait(workspace: WorkspaceId, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(workspace) ?? new Set<() => void>();
    this.#waiting.set(workspace, waiting);
    const resume = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', resume);
      waiting.delete(resume);
      if (waiting.size === 0 && this.#waiting.get(workspace) === waiting) {
        this.#waiting.delete(workspace);
      }
      resolve();
    };
    const timer = setTimeout(resume, LOOK_MS);
    signal.addEventListener('abort', resume, { once: true });
    waiting.add(resume);
    return promise;
  }
}
