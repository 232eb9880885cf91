/**
 * A workspace and a pool in a temporary folder, for tests that look at the store's own files.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend, WorkspaceRef } from '../../src/backend/backend.ts';
import {
  createStoreBackend,
  type StoreBackendOptions,
} from '../../src/backend/store/store-backend.ts';
import {
  nextUlid,
  type SnapshotId,
  snapshotId,
  type Ulid,
  workspaceId,
} from '../../src/core/ids.ts';

export class StoreStage implements Disposable {
  readonly base: string;
  readonly live: string;
  readonly pool: string;
  readonly ref: WorkspaceRef;
  #last: Ulid | '' = '';

  constructor(under = tmpdir()) {
    this.base = mkdtempSync(join(under, 'ghostsnap-store-'));
    this.live = join(this.base, 'live');
    this.pool = join(this.base, 'pool');
    mkdirSync(this.live);
    mkdirSync(this.pool);
    const id = workspaceId(nextUlid('', Date.now(), randomBytes(10)));
    this.ref = { id, path: this.live, poolRoot: this.pool };
  }

  /** The workspace's own directory in the pool. */
  get own(): string {
    return join(this.pool, '.ghostsnap', this.ref.id);
  }

  get objects(): string {
    return join(this.pool, '.ghostsnap', 'objects');
  }

  /** A path in the live tree. */
  readonly inLive = (name: string): string => join(this.live, name);

  /** Paths of stored objects, by how their names end: `.b` blobs, `.d` directories. */
  objectsEnding(suffix: string): string[] {
    return readdirSync(this.objects, { recursive: true })
      .map(String)
      .filter((name) => name.endsWith(suffix))
      .map((name) => join(this.objects, name));
  }

  async open(options: StoreBackendOptions = {}): Promise<Backend> {
    const backend = createStoreBackend(options);
    await backend.initWorkspace(this.ref, {});
    return backend;
  }

  nextId(): SnapshotId {
    this.#last = nextUlid(this.#last, Date.now(), randomBytes(10));
    return snapshotId(this.#last);
  }

  take(backend: Backend): SnapshotId {
    const id = this.nextId();
    backend.createSnapshotSync(this.ref, id);
    return id;
  }

  async takeInBackground(backend: Backend): Promise<SnapshotId> {
    const id = this.nextId();
    await backend.createSnapshot(this.ref, id);
    return id;
  }

  [Symbol.dispose](): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}
