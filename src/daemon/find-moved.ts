/**
 * Finding a workspace whose directory was moved by a rename: which one is this directory?
 *
 * Identity is proven by the backend (the subvolume's UUID; device, inode and birth time; of a directory whose
 * mount is gone its own inode and birth time), never guessed from a name. A copy is another directory. A
 * workspace that is still reached at its own path was not moved, whatever else leads to it.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Backend, WorkspaceRef } from '../backend/backend.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { Home } from './home.ts';
import { assertReachable, makeBackend } from './open-pool.ts';
import { listForgotten, listWorkspaceRecords, readPool, type WorkspaceRecord } from './registry.ts';

export interface MovedWorkspace {
  readonly record: WorkspaceRecord;
  /** Where it is now. */
  readonly path: string;
}

/** The workspace that `asked` or a directory around it is, registered for a path where it is not. */
export async function findMoved(home: Home, asked: string): Promise<MovedWorkspace | null> {
  const records = [...listWorkspaceRecords(home), ...listForgotten(home)];
  if (records.length === 0) return null;
  await using prover = new IdentityProver(home);
  for (const at of directoriesAround(asked)) {
    for (const record of records) {
      if (at === record.path) continue;
      if (!(await prover.isAt(record, at)) && !(await prover.isEmptied(record, at))) continue;
      const isForgotten = !listWorkspaceRecords(home).some(({ id }) => id === record.id);
      if (!isForgotten && (await prover.isAt(record, record.path))) return null;
      return { record, path: at };
    }
  }
  return null;
}

/** Whether the directory at the record's own path is the workspace. */
export async function isInPlace(home: Home, record: WorkspaceRecord): Promise<boolean> {
  await using prover = new IdentityProver(home);
  return await prover.isAt(record, record.path);
}

/**
 * For a workspace that is not proven to be at its path.
 * @throws GhostsnapError WORKSPACE_NOT_FOUND when that is for want of its record
 */
export async function assertRecorded(home: Home, record: WorkspaceRecord): Promise<void> {
  await using prover = new IdentityProver(home);
  await prover.assertRecorded(record);
}

/** The path as it is named, then without symlinks, each with what is above it. */
function directoriesAround(asked: string): readonly string[] {
  const found = new Set<string>();
  for (const start of [realPathOf(asked), asked]) {
    for (let at = start; ; at = path.dirname(at)) {
      found.add(at);
      if (at === path.dirname(at)) break;
    }
  }
  return [...found];
}

function realPathOf(asked: string): string {
  try {
    return fs.realpathSync(asked);
  } catch {
    // Not there: then nothing can have moved to it, and the answer will be "none".
    return asked;
  }
}

/** One backend of each kind, however many workspaces are asked about. */
class IdentityProver implements AsyncDisposable {
  readonly #home: Home;
  readonly #backends = new Map<string, Backend>();

  constructor(home: Home) {
    this.#home = home;
  }

  async isAt(record: WorkspaceRecord, at: string): Promise<boolean> {
    return await this.#prove(record, at, (backend, ref) => {
      backend.identify(ref);
      return true;
    });
  }

  async assertRecorded(record: WorkspaceRecord): Promise<void> {
    const found: (GhostsnapError | null)[] = [];
    await this.#prove(record, record.path, (backend, ref) => {
      found.push(recordMissingAt(backend, ref));
      return true;
    });
    if (found[0] instanceof GhostsnapError) throw found[0];
  }

  /** Its tree was mounted over this directory, and is not now. */
  async isEmptied(record: WorkspaceRecord, at: string): Promise<boolean> {
    if (record.movedTo === null) return false;
    return await this.#prove(record, at, (backend, ref) => backend.showAgain(ref, 'plan'));
  }

  async #prove(
    record: WorkspaceRecord,
    at: string,
    prove: (backend: Backend, ref: WorkspaceRef) => boolean,
  ): Promise<boolean> {
    const pool = readPool(this.#home, record.pool);
    if (pool === null) return false;
    try {
      assertReachable(pool);
      const backend = this.#backends.get(record.backend) ?? (await makeBackend(pool, 'off'));
      this.#backends.set(record.backend, backend);
      return prove(backend, { id: record.id, path: at, poolRoot: pool.root });
    } catch (error) {
      // A pool that is away, a record that is broken, a directory that is another: none is a proof.
      if (error instanceof GhostsnapError) return false;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const backend of this.#backends.values()) await backend[Symbol.asyncDispose]();
  }
}

function recordMissingAt(backend: Backend, ref: WorkspaceRef): GhostsnapError | null {
  try {
    backend.identify(ref);
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'WORKSPACE_NOT_FOUND') return error;
    throw error;
  }
  return null;
}
