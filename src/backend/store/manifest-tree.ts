/**
 * A snapshot in the store, read as a tree.
 *
 * Directories are loaded when they are asked for, each proven against its name; the ones used last are
 * kept, so that a walk holds the way from the root and not the tree. Never touches the live workspace.
 */
import { GhostsnapError } from '../../core/errors.ts';
import {
  baseOf,
  displayPath,
  joinRaw,
  parentOf,
  type RawPath,
  ROOT_PATH,
} from '../../core/raw-path.ts';
import type { TreeEntry } from '../../core/tree-entry.ts';
import type { TreeReader, TreeRef } from '../backend.ts';
import type { Xattr } from '../entry-xattrs.ts';
import { copyContent } from '../file-content.ts';
import type { Steps } from '../steps.ts';
import { toGhostsnapError } from '../syscall-failure.ts';
import { closeFd } from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import { FormatError, toFormatFailure } from './binary-codec.ts';
import { readBlobRange, restoreBlob } from './blob-file.ts';
import type { Manifest } from './manifest.ts';
import { type ObjectFiles, objectName, readFullyAt } from './object-files.ts';
import type { ContentRef, ObjectId, StoredEntry } from './stored-entry.ts';
import { toTreeEntry } from './stored-entry.ts';

/** Entries held in memory, of however many directories; a larger directory is held alone. */
const ENTRIES_HELD_MAX = 8192;

interface HeldDirectory {
  readonly entries: readonly StoredEntry[];
  trees: readonly TreeEntry[] | null;
}

const statx = new Statx();

export class ManifestTree implements TreeReader {
  readonly ref: TreeRef;
  readonly manifest: Manifest;
  readonly #files: ObjectFiles;
  /** In order of use, the one used last at the end. */
  readonly #held = new Map<RawPath, HeldDirectory>();
  #entriesHeld = 0;

  readonly #liveIno: (path: RawPath) => number;

  /**
   * Takes over `files`. `liveIno` gives the inode number that a directory has in the live tree (0:
   * unknown), so that a walk by candidates knows a directory that is still the same one.
   */
  constructor(
    manifest: Manifest,
    files: ObjectFiles,
    liveIno: (path: RawPath) => number = () => 0,
  ) {
    this.#liveIno = liveIno;
    this.ref = manifest.snapshot;
    this.manifest = manifest;
    this.#files = files;
  }

  root(): TreeEntry {
    return toTreeEntry(this.manifest.root);
  }

  readDirectory(path: RawPath): readonly TreeEntry[] {
    const directory = this.#load(path);
    if (directory === null) throw this.#missing(path);
    directory.trees ??= directory.entries.map((e) => this.#asTree(joinRaw(path, e.name), e));
    return directory.trees;
  }

  /** As `readDirectory`, with what the entries refer to. null: not a directory of this tree. */
  storedEntries(path: RawPath): readonly StoredEntry[] | null {
    return this.#load(path)?.entries ?? null;
  }

  lookup(path: RawPath): TreeEntry | null {
    const entry = this.stored(path);
    return entry === null ? null : this.#asTree(path, entry);
  }

  stored(path: RawPath): StoredEntry | null {
    if (path === '') return this.manifest.root;
    const entries = this.#load(parentOf(path))?.entries;
    return entries === undefined ? null : findEntry(entries, baseOf(path));
  }

  readLink(path: RawPath): string {
    const entry = this.#require(path);
    if (entry.type !== 'symlink') throw this.#missing(path);
    return entry.target;
  }

  readXattrs(path: RawPath): readonly Xattr[] {
    return this.#require(path).xattrs;
  }

  readFile(path: RawPath, offset: number, length: number): Uint8Array {
    const { content } = this.#requireFile(path);
    if (content === null) return new Uint8Array(0);
    return this.#withContent(content, path, (fd) => {
      if (content.kind === 'blob') return readBlobRange(fd, offset, length);
      const bytes = Buffer.allocUnsafe(length);
      return bytes.subarray(0, readFullyAt(fd, bytes, offset));
    });
  }

  *copyFileTo(path: RawPath, toFd: number): Steps<void> {
    const { content, sizeBytes } = this.#requireFile(path);
    if (content === null) return;
    const fd = this.#files.open(content.kind, content.id);
    try {
      if (content.kind === 'blob') {
        yield* restoreBlob(fd, content.id, toFd);
        return;
      }
      if (statx.read(fd, '').sizeBytes !== sizeBytes) {
        throw new FormatError('The clone does not have the length it was taken with');
      }
      yield* copyContent({ fromFd: fd, toFd, sizeBytes });
    } catch (error) {
      throw this.#contentFailed(error, content, path);
    } finally {
      closeFd(fd);
    }
  }

  [Symbol.dispose](): void {
    this.#held.clear();
    this.#entriesHeld = 0;
    this.#files[Symbol.dispose]();
  }

  #asTree(path: RawPath, entry: StoredEntry): TreeEntry {
    const tree = toTreeEntry(entry);
    return tree.type === 'dir' ? { ...tree, ino: this.#liveIno(path) } : tree;
  }

  #withContent<T>(content: ContentRef, path: RawPath, action: (fd: number) => T): T {
    const fd = this.#files.open(content.kind, content.id);
    try {
      return action(fd);
    } catch (error) {
      throw this.#contentFailed(error, content, path);
    } finally {
      closeFd(fd);
    }
  }

  #contentFailed(error: unknown, content: ContentRef, path: RawPath): Error {
    const file = `${this.#files.path}/${objectName(content.kind, content.id)}`;
    const failure = toFormatFailure(error, file);
    return toGhostsnapError(failure, { what: 'Giving back the content', path });
  }

  #require(path: RawPath): StoredEntry {
    const entry = this.stored(path);
    if (entry === null) throw this.#missing(path);
    return entry;
  }

  #requireFile(path: RawPath): StoredEntry {
    const entry = this.#require(path);
    if (entry.type !== 'file') throw this.#missing(path);
    return entry;
  }

  /** null: no directory is there. */
  #load(path: RawPath): HeldDirectory | null {
    const held = this.#held.get(path);
    if (held !== undefined) {
      this.#held.delete(path);
      this.#held.set(path, held);
      return held;
    }
    const id = this.#directoryId(path);
    if (id === null) return null;
    const loaded: HeldDirectory = { entries: this.#files.readDirectory(id), trees: null };
    this.#held.set(path, loaded);
    this.#entriesHeld += loaded.entries.length;
    for (const [first, { entries }] of this.#held) {
      if (this.#entriesHeld <= ENTRIES_HELD_MAX || this.#held.size === 1) break;
      this.#held.delete(first);
      this.#entriesHeld -= entries.length;
    }
    return loaded;
  }

  /** Goes up to the nearest directory that is held, without recursion: paths may have 4096 levels. */
  #directoryId(path: RawPath): ObjectId | null {
    let at = path;
    while (at !== '' && !this.#held.has(parentOf(at))) at = parentOf(at);
    let id = at === '' ? rootId(this.manifest) : this.#childId(parentOf(at), baseOf(at));
    while (id !== null && at !== path) {
      const slash = path.indexOf('/', at === ROOT_PATH ? 0 : at.length + 1);
      const next = (slash < 0 ? path : path.slice(0, slash)) as RawPath;
      id = childOf(findEntry(this.#files.readDirectory(id), baseOf(next)));
      at = next;
    }
    return id;
  }

  #childId(parent: RawPath, name: string): ObjectId | null {
    const held = this.#held.get(parent);
    if (held === undefined) return null;
    // On the way to what is asked for: it is needed again when the walk comes back up.
    this.#held.delete(parent);
    this.#held.set(parent, held);
    return childOf(findEntry(held.entries, name));
  }

  #missing(path: RawPath): GhostsnapError {
    const shown = displayPath(path);
    const message = `The snapshot ${this.manifest.snapshot} does not hold this path: ${shown}`;
    return new GhostsnapError('PATH_NOT_IN_SNAPSHOT', message, {
      data: { path: shown, snapshot: this.manifest.snapshot },
      hint: 'Look for it with "ghostsnap diff", or choose another snapshot.',
    });
  }
}

function rootId(manifest: Manifest): ObjectId | null {
  return childOf(manifest.root);
}

function childOf(entry: StoredEntry | null): ObjectId | null {
  return entry === null || entry.type !== 'dir' || entry.child === '' ? null : entry.child;
}

/** By halves: entries are in byte order of names. */
export function findEntry(entries: readonly StoredEntry[], name: string): StoredEntry | null {
  let low = 0;
  let high = entries.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle] as StoredEntry;
    if (entry.name === name) return entry;
    if (entry.name < name) low = middle + 1;
    else high = middle - 1;
  }
  return null;
}
