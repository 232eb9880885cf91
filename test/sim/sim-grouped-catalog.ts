/**
 * The simulated catalog of a service: commits land some time after they were given, in their order, and are
 * gone when the process dies before. As in src/catalog/grouped-catalog.ts a workspace's state is known at
 * once, and every other question makes what was committed land first.
 */
import type { Event } from '../../src/core/event.ts';
import type { WorkspaceId } from '../../src/core/ids.ts';
import type { WorkspaceState } from '../../src/core/state.ts';
import { SimCatalog } from './sim-catalog.ts';

interface Unlanded {
  readonly events: readonly Event[];
  readonly state: WorkspaceState;
}

export class SimGroupedCatalog extends SimCatalog {
  readonly #unlanded = new Map<WorkspaceId, Unlanded[]>();

  override loadState(workspace: WorkspaceId): WorkspaceState | null {
    return this.#unlanded.get(workspace)?.at(-1)?.state ?? super.loadState(workspace);
  }

  override commit(workspace: WorkspaceId, events: readonly Event[], state: WorkspaceState): void {
    this.host.stepAlone(workspace, 'commit:given');
    const unlanded = this.#unlanded.get(workspace) ?? [];
    this.#unlanded.set(workspace, unlanded);
    unlanded.push({ events, state });
  }

  override settle(workspace: WorkspaceId): Promise<void> | null {
    return this.#unlanded.has(workspace) ? this.#land(workspace) : null;
  }

  override settleSync(workspace: WorkspaceId): void {
    const unlanded = this.#unlanded.get(workspace) ?? [];
    this.#unlanded.delete(workspace);
    for (const { events, state } of unlanded) super.commit(workspace, events, state);
  }

  protected override book(workspace: WorkspaceId): ReturnType<SimCatalog['book']> {
    this.settleSync(workspace);
    return super.book(workspace);
  }

  /** Others come between; a process that dies meanwhile takes it along. */
  async #land(workspace: WorkspaceId): Promise<void> {
    await this.host.pause();
    this.settleSync(workspace);
  }
}
