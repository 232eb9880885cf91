/**
 * Reading everything that a workspace's snapshots refer to, and proving it.
 *
 * Every directory and blob is proven against the hash that is its name, once, however many snapshots share it.
 * A clone's bytes are the filesystem's to answer for: its length is compared. Nothing is changed; a damaged
 * object is reported with the first path of each snapshot that leads to it.
 */
import { fstatSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import type { SnapshotId } from '../../core/ids.ts';
import { joinRaw, type RawPath, ROOT_PATH } from '../../core/raw-path.ts';
import type { DamagedPath, WorkOptions, WorkspaceRef } from '../backend.ts';
import { done } from '../steps.ts';
import { interrupted } from '../syscall-failure.ts';
import { closeFd } from '../syscalls-linux.ts';
import { FormatError } from './binary-codec.ts';
import { proveBlob } from './blob-file.ts';
import { listManifests, readManifest } from './manifest-files.ts';
import { ObjectFiles } from './object-files.ts';
import { objectsPath } from './store-layout.ts';
import type { ObjectId, StoredEntry } from './stored-entry.ts';

/** Objects between two turns of the loop: a check of hours must not keep anybody else waiting. */
const OBJECTS_A_TURN = 64;

/** @throws GhostsnapError INTERRUPTED; IO and the like for what can't be read now: it may be whole */
export async function verifySnapshots(
  ref: WorkspaceRef,
  options: WorkOptions = {},
): Promise<readonly DamagedPath[]> {
  using files = new ObjectFiles(objectsPath(ref.poolRoot));
  const check = new Check(files, options);
  const damaged: DamagedPath[] = [];
  for (const { id, isWhole } of listManifests(ref)) {
    if (isWhole) damaged.push(...(await check.snapshot(ref, id)));
    else damaged.push({ snapshot: id, path: ROOT_PATH, what: 'its manifest cannot be used' });
  }
  // What was deleted meanwhile has lost its manifest first, and its objects after that.
  const left = new Set(listManifests(ref).map(({ id }) => id));
  return damaged.filter(({ snapshot }) => left.has(snapshot));
}

class Check {
  readonly #files: ObjectFiles;
  readonly #options: WorkOptions;
  /** By id: null where all that is reached through it is whole, else what is wrong below, once found. */
  readonly #blobs = new Map<ObjectId, string | null>();
  readonly #wholeDirectories = new Set<ObjectId>();
  #done = 0;

  constructor(files: ObjectFiles, options: WorkOptions) {
    this.#files = files;
    this.#options = options;
  }

  async snapshot(ref: WorkspaceRef, snapshot: SnapshotId): Promise<DamagedPath[]> {
    const root = rootOf(ref, snapshot);
    const found: DamagedPath[] = [];
    const say = (path: RawPath, what: string): void => void found.push({ snapshot, path, what });
    if (root !== '') await this.#directory(root, ROOT_PATH, say);
    return found;
  }

  /** True: it and all below it are whole. */
  async #directory(
    id: ObjectId,
    path: RawPath,
    say: (path: RawPath, what: string) => void,
  ): Promise<boolean> {
    if (this.#wholeDirectories.has(id)) return true;
    await this.#pause();
    const entries = this.#entries(id);
    if (typeof entries === 'string') {
      say(path, entries);
      return false;
    }
    let isWhole = true;
    for (const entry of entries) {
      const below = joinRaw(path, entry.name);
      if (entry.child !== '') {
        isWhole = (await this.#directory(entry.child, below, say)) && isWhole;
        continue;
      }
      const wrong = await this.#content(entry);
      if (wrong === null) continue;
      say(below, wrong);
      isWhole = false;
    }
    if (isWhole) this.#wholeDirectories.add(id);
    return isWhole;
  }

  #entries(id: ObjectId): StoredEntry[] | string {
    return damageOf(() => this.#files.readDirectory(id));
  }

  async #content({ content, sizeBytes }: StoredEntry): Promise<string | null> {
    if (content === null) return null;
    const known = this.#blobs.get(content.id);
    if (known !== undefined) return known;
    await this.#pause();
    const proven = damageOf(() => {
      const fd = this.#files.open(content.kind, content.id);
      try {
        const found =
          content.kind === 'blob' ? done(proveBlob(fd, content.id)) : fstatSync(fd).size;
        if (found !== sizeBytes) throw new FormatError(`It has ${found} bytes, not ${sizeBytes}`);
      } finally {
        closeFd(fd);
      }
    });
    const wrong = typeof proven === 'string' ? proven : null;
    this.#blobs.set(content.id, wrong);
    return wrong;
  }

  async #pause(): Promise<void> {
    if (this.#options.signal?.aborted === true) throw interrupted('Verifying snapshots');
    this.#done += 1;
    if (this.#done % OBJECTS_A_TURN !== 0) return;
    this.#options.onProgress?.(this.#done, null);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** '': it is empty, or was deleted meanwhile. */
function rootOf(ref: WorkspaceRef, snapshot: SnapshotId): ObjectId | '' {
  try {
    return readManifest(ref, snapshot).root.child;
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'SNAPSHOT_NOT_FOUND') return '';
    throw error;
  }
}

/** A text: what is damaged. Whatever keeps it from being read now is thrown. */
function damageOf<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    if (!(error instanceof GhostsnapError)) throw error;
    // A symlink in an object's place is no object.
    if (error.kind === 'corrupt' || error.data.errno === 'ELOOP') return error.message;
    throw error;
  }
}
