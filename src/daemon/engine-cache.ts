/**
 * Workspaces that are held open, so that the next tool call finds everything warm.
 *
 * Bounded by number and by disuse. A workspace that was destroyed and made anew, or that failed, is
 * opened again: the registry is asked each time, which costs one small file.
 */
import type { Workspace } from '../engine/workspace-api.ts';
import type { Environment } from './home.ts';
import { openWorkspace } from './open-workspace.ts';
import type { WorkspaceRecord } from './registry.ts';

/** An engine with an empty dirty set is about 150 KB; one that watches 100k directories far more. */
const ENGINES_OPEN_MAX = 32;

/** One that was used this short ago may be in use, and is never closed for another one's sake. */
const IN_USE_MS = 60_000;

interface Entry {
  readonly workspace: Promise<Workspace>;
  lastUsedMs: number;
}

export interface EngineCacheOptions {
  readonly environment: Environment;
  readonly watch: 'on' | 'off';
  /** Told about an engine that could not be closed: nobody else would hear of it. */
  readonly onError: (error: unknown) => void;
}

export class EngineCache {
  readonly #options: EngineCacheOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: EngineCacheOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @throws GhostsnapError what opening throws; then the next call tries again */
  async open(record: WorkspaceRecord): Promise<Workspace> {
    const known = this.#entries.get(record.id);
    if (known !== undefined) {
      known.lastUsedMs = performance.now();
      // Insertion order is the order of use: the first entry is the one to close.
      this.#entries.delete(record.id);
      this.#entries.set(record.id, known);
      return await known.workspace;
    }
    const { environment, watch } = this.#options;
    const workspace = openWorkspace({ workspace: record.path, environment, watch });
    this.#entries.set(record.id, { workspace, lastUsedMs: performance.now() });
    try {
      const opened = await workspace;
      this.#evict();
      return opened;
    } catch (error) {
      this.#entries.delete(record.id);
      throw error;
    }
  }

  /** To be called after an operation failed: whatever the engine believes is looked at anew. */
  drop(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#close(entry);
  }

  async close(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.allSettled(entries.map(async (entry) => (await entry.workspace).close()));
  }

  #evict(): void {
    const nowMs = performance.now();
    for (const [id, entry] of this.#entries) {
      if (this.#entries.size <= ENGINES_OPEN_MAX || nowMs - entry.lastUsedMs < IN_USE_MS) return;
      this.drop(id);
    }
  }

  #close(entry: Entry): void {
    entry.workspace
      .then((workspace) => workspace.close())
      .catch((error: unknown) => this.#options.onError(error));
  }
}
