/**
 * Workspaces that are open: as many as are used, each a small entry, opened when it is first asked for.
 *
 * An idle engine of a btrfs pool is about a kilobyte and holds no descriptor, so that a host keeps tens of
 * thousands; one that has not been used for a while is closed, and one that failed is opened anew. A
 * workspace is never closed under somebody who uses it.
 */
import type { WorkspaceId } from '../core/ids.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import type { HostedWorkspace } from './ledger.ts';
import type { WorkspaceSource } from './workspace-source.ts';

interface Entry {
  workspace: Workspace | Promise<Workspace>;
  users: number;
  lastUsedMs: number;
  /** To be opened anew once nobody uses it. */
  isStale: boolean;
}

export interface OpenWorkspacesOptions {
  readonly source: WorkspaceSource;
  readonly monotonicMs: () => number;
  /** Held open at most, more only while they are used; as it is now. */
  readonly bounds: () => { readonly max: number; readonly idleMs: number };
  /** Told about one that could not be closed: nobody else would hear of it. */
  readonly onError: (error: unknown) => void;
}

/** Entries looked at in one sweep that finds nothing to close. */
const SWEEP_MAX = 1024;

export class OpenWorkspaces implements AsyncDisposable {
  readonly #options: OpenWorkspacesOptions;
  /** Least recently used first. */
  readonly #entries = new Map<WorkspaceId, Entry>();

  constructor(options: OpenWorkspacesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @throws GhostsnapError what opening throws, and what `work` throws */
  async use<T>(row: HostedWorkspace, work: (workspace: Workspace) => Promise<T> | T): Promise<T> {
    const entry = this.#entry(row);
    entry.users += 1;
    try {
      const { workspace } = entry;
      return await work('info' in workspace ? workspace : await workspace);
    } finally {
      entry.users -= 1;
      entry.lastUsedMs = this.#options.monotonicMs();
      if (entry.isStale && entry.users === 0) this.#close(entry);
    }
  }

  /** Opens it, so that what a crash left is ended; closed again unless it was open before. */
  async look(row: HostedWorkspace): Promise<void> {
    const wasOpen = this.#entries.has(row.id);
    await this.use(row, () => undefined);
    if (!wasOpen) this.drop(row.id);
  }

  /** One that was just made, already open. */
  adopt(id: WorkspaceId, workspace: Workspace): void {
    const lastUsedMs = this.#options.monotonicMs();
    this.#entries.set(id, { workspace, users: 0, lastUsedMs, isStale: false });
  }

  /** Whatever its engine believes is looked at anew by the next one who asks. */
  drop(id: WorkspaceId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    if (entry.users > 0) entry.isStale = true;
    else this.#close(entry);
  }

  /** Closes what has been idle for long, and the least recently used beyond the bound. */
  sweep(): void {
    const { max, idleMs } = this.#options.bounds();
    const idleSinceMs = this.#options.monotonicMs() - idleMs;
    let looked = 0;
    for (const [id, entry] of this.#entries) {
      const isTooMany = this.#entries.size > max;
      if (!isTooMany && entry.lastUsedMs > idleSinceMs) return;
      looked += 1;
      if (looked > SWEEP_MAX) return;
      if (entry.users === 0) this.drop(id);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { workspace } of entries) {
      try {
        await (await workspace).close();
      } catch (error) {
        this.#options.onError(error);
      }
    }
  }

  #entry(row: HostedWorkspace): Entry {
    const known = this.#entries.get(row.id);
    if (known !== undefined) {
      this.#entries.delete(row.id);
      this.#entries.set(row.id, known);
      return known;
    }
    const opening = this.#options.source.open(row);
    const lastUsedMs = this.#options.monotonicMs();
    const entry: Entry = { workspace: opening, users: 0, lastUsedMs, isStale: false };
    this.#entries.set(row.id, entry);
    opening.then(
      (workspace) => {
        entry.workspace = workspace;
      },
      () => {
        if (this.#entries.get(row.id) === entry) this.#entries.delete(row.id);
      },
    );
    if (this.#entries.size > this.#options.bounds().max) this.sweep();
    return entry;
  }

  #close(entry: Entry): void {
    Promise.resolve(entry.workspace)
      .then((workspace) => workspace.close())
      .catch((error: unknown) => this.#options.onError(error));
  }
}
