/**
 * Which workspaces a session is at work in besides the one that it stands in.
 *
 * A call names paths; those that lead into another workspace are protected there. What was reported for a call of a
 * session goes to where the session was before as well: an agent may stand elsewhere when its call ends.
 * Bounded; what is forgotten here ends as unknown there.
 */
import { namesIfThere } from '../backend/if-there.ts';
import type { Home } from './home.ts';
import { readWorkspace, type WorkspaceRecord, workspacesDirectory } from './registry.ts';
import { workspaceAround } from './workspace-around.ts';

const SESSIONS_MAX = 256;
/** One call is protected in so many at most: each snapshot is waited for. */
const BESIDE_MAX = 4;

export class SessionPlaces {
  readonly #home: Home;
  readonly #places = new Map<string, Map<string, WorkspaceRecord>>();

  constructor(home: Home) {
    this.#home = home;
  }

  /** Those that `paths` lead into, without the one that is `around` the agent. */
  named(paths: readonly string[], around: WorkspaceRecord | null): readonly WorkspaceRecord[] {
    if (paths.length === 0 || !this.#hasOthers(around)) return [];
    const found = new Map<string, WorkspaceRecord>();
    for (const path of paths) {
      const record = workspaceAround(this.#home, path);
      if (record !== null && record.id !== around?.id) found.set(record.id, record);
    }
    return [...found.values()].slice(0, BESIDE_MAX);
  }

  remember(session: string, records: readonly WorkspaceRecord[]): void {
    const known = this.#places.get(session) ?? new Map<string, WorkspaceRecord>();
    for (const record of records) known.set(record.id, record);
    // Insertion order is the order of use.
    this.#places.delete(session);
    this.#places.set(session, known);
    const [oldest] = this.#places.keys();
    if (this.#places.size > SESSIONS_MAX && oldest !== undefined) this.#places.delete(oldest);
  }

  /** As far as they are workspaces still. */
  remembered(session: string): readonly WorkspaceRecord[] {
    const known = [...(this.#places.get(session)?.values() ?? [])];
    return known.filter(({ id, path }) => readWorkspace(this.#home, path)?.id === id);
  }

  /** Most people have few workspaces, and many one. */
  #hasOthers(around: WorkspaceRecord | null): boolean {
    const files = namesIfThere(workspacesDirectory(this.#home));
    return files.length > (around === null ? 0 : 1);
  }
}
