/**
 * The objects of one snapshot, made durable and then given their names.
 *
 * Order, and why: first the data of every staged file is on disk, then it is renamed into `objects/`,
 * then the renames are on disk. Renaming first could leave, after a power loss, an object with its final
 * name and no content, which every later snapshot would trust. A few objects are synced one by one, so
 * that other people's dirty data is not waited for; many with one sync of the filesystem.
 *
 * An object that was there already may have been renamed a moment ago by the snapshot of another
 * workspace, which has not synced its directory yet. Its data is durable, its name may not be: so the
 * directories of the objects that are relied upon are synced as well, and no snapshot is acknowledged
 * that stands on somebody else's sync.
 *
 * A transaction that does not commit leaves nothing. One that ends between its first rename and the
 * manifest leaves objects that nobody refers to, and `working/killed-...` to say so: the next sweep looks
 * at every object then. A killed process leaves the transaction's directory, which says the same.
 */

import { mkdirSync, opendirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { rawFromText } from '../../core/raw-path.ts';
import { closedOnFailure } from '../closed-on-failure.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { fsyncFd, syncFs, syncFsAsync } from '../syscalls-data-linux.ts';
import { makeDirectoryAt, renameAt } from '../syscalls-entry-linux.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { type ObjectFiles, objectNameOfStaged, shardOf, stagedName } from './object-files.ts';
import { ObjectWriter, STAGED_NAMES_MAX } from './object-writer.ts';

/** Objects up to which each is synced by itself; beyond, one sync of the filesystem is cheaper. */
const SINGLE_SYNCS_MAX = STAGED_NAMES_MAX - 1;

export class ObjectTransaction implements Disposable {
  readonly writer: ObjectWriter;
  readonly fd: number;
  readonly #path: string;
  #isPublishing = false;
  readonly #files: ObjectFiles;
  /**
   * Names of objects, each with the writer's directory it is in, as long as they are few; null: as
   * many as the writers' directories hold, whatever the tree.
   */
  #staged: Map<string, string> | null = new Map<string, string>();
  readonly #directories = new Set<string>();
  /** Directories (below `objects/`) of the objects that were found and are referred to. */
  readonly #relied = new Set<string>();

  /** `path` (text) is a directory of this transaction's own; leftovers of an earlier one are removed. */
  constructor(files: ObjectFiles, path: string) {
    this.#files = files;
    this.#path = path;
    makeEmptyDirectory(path);
    this.fd = openAt(AT_FDCWD, rawFromText(path), O_RDONLY | O_DIRECTORY);
    this.writer = closedOnFailure(this.fd, () => new ObjectWriter(files, this.fd));
    files.stagedFd = this.writer.fd;
  }

  /** What a writer, of this or another thread, has staged in its directory: `takeStaged`. */
  addStaged(directory: string, names: readonly string[]): void {
    if (names.length > 0) this.#directories.add(directory);
    for (const name of names) this.#staged?.set(name, directory);
    if ((this.#staged?.size ?? 0) > SINGLE_SYNCS_MAX) this.#staged = null;
  }

  /** Directories below `objects/` that hold objects which the snapshot refers to as it found them. */
  addRelied(directories: readonly string[]): void {
    for (const directory of directories) this.#relied.add(directory);
    // The directory's own name may be as young as what is in it.
    if (directories.length > 0) this.#relied.add('.');
  }

  commitSync(): void {
    for (const _ of this.#commit()) syncFs(this.#files.fd);
  }

  async commit(): Promise<void> {
    for (const _ of this.#commit()) await syncFsAsync(this.#files.fd);
  }

  /** Yields where the whole filesystem is to be synced. */
  *#commit(): Generator<'sync'> {
    this.addStaged(this.writer.directory, this.writer.takeStaged());
    this.addRelied(this.writer.takeRelied());
    const directories = new Set(this.#relied);
    if (this.#staged === null) {
      yield 'sync';
      this.#isPublishing = true;
      for (const directory of this.#directories) this.#publishAll(directory, directories);
      yield 'sync';
    } else this.#commitFew(this.#staged, directories);
    this.#relied.clear();
    this.#staged = new Map();
    this.#directories.clear();
  }

  #commitFew(staged: ReadonlyMap<string, string>, directories: Set<string>): void {
    for (const [name, directory] of staged) fsyncAt(this.fd, `${directory}/${stagedName(name)}`);
    this.#isPublishing = staged.size > 0;
    for (const [name, directory] of staged) this.#publish(name, directory, directories);
    // Few names may rely on many directories: each of those is most likely clean, and costs nothing.
    for (const directory of directories) fsyncAt(this.#files.fd, directory);
  }

  /** Everything in a writer's directory: again until nothing is left, since names go under the list. */
  #publishAll(directory: string, directories: Set<string>): void {
    for (let found = -1; found !== 0; ) {
      found = 0;
      using listed = opendirSync(join(this.#path, directory), { bufferSize: 512 });
      for (let entry = listed.readSync(); entry !== null; entry = listed.readSync()) {
        const name = objectNameOfStaged(entry.name);
        if (name === null) continue;
        found += 1;
        this.#publish(name, directory, directories);
      }
    }
  }

  #publish(name: string, directory: string, directories: Set<string>): void {
    const staged = `${directory}/${stagedName(name)}`;
    const shard = shardOf(name);
    directories.add(shard);
    try {
      renameAt(this.fd, staged, this.#files.fd, name);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      makeShard(this.#files.fd, shard);
      directories.add('.');
      renameAt(this.fd, staged, this.#files.fd, name);
    }
  }

  /** A manifest refers to the objects from now on. */
  complete(): void {
    this.#isPublishing = false;
  }

  /** Ends the transaction; what was not committed is removed. */
  [Symbol.dispose](): void {
    this.#files.stagedFd = -1;
    this.writer[Symbol.dispose]();
    closeFd(this.fd);
    // A rename, because a full disk may not even have room for another name.
    if (this.#isPublishing) renameSync(this.#path, killedPath(this.#path));
    else rmSync(this.#path, { recursive: true, force: true });
  }
}

const KILLED_PREFIX = 'killed-';

/** Where a transaction's directory goes when it may have published objects in vain. */
export function killedPath(path: string): string {
  return join(dirname(path), `${KILLED_PREFIX}${basename(path)}`);
}

export function isKilledName(name: string): boolean {
  return name.startsWith(KILLED_PREFIX);
}

function makeShard(objectsFd: number, shard: string): void {
  try {
    makeDirectoryAt(objectsFd, shard, 0o700);
  } catch (error) {
    // Another workspace's snapshot made it in the same moment.
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

function fsyncAt(directoryFd: number, name: string): void {
  const fd = openAt(directoryFd, name, O_RDONLY);
  try {
    fsyncFd(fd);
  } finally {
    closeFd(fd);
  }
}

/** @throws GhostsnapError POOL_FULL, NOT_PERMITTED, IO */
function makeEmptyDirectory(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Making a working directory', path: rawFromText(path) });
  }
}
