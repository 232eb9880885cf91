/**
 * One directory while it is being captured.
 *
 * It collects what the walk sees (records and names in the kernel's order), what was read anew, and what
 * turned out to be gone; when nothing is outstanding it becomes a directory object and an index block.
 * A directory in which nothing moved, down to the last child, keeps its old object unread.
 */
import { assert, GhostsnapError } from '../../core/errors.ts';
import { joinRaw, type RawName, type RawPath } from '../../core/raw-path.ts';
import type { PathNode } from '../path-set.ts';
import { buildBlock, type IndexBlock, withObject } from './index-block.ts';
import type { ObjectFiles } from './object-files.ts';
import type { ObjectWriter } from './object-writer.ts';
import {
  fieldsOf,
  formatOf,
  nlinkOf,
  RECORD_WORDS,
  S_IFDIR,
  S_IFREG,
  type Words,
} from './stat-record.ts';
import type { ObjectId, StoredEntry } from './stored-entry.ts';

/** The index contradicts itself or its objects: the capture begins again without it. */
export class StaleIndex extends Error {
  override readonly name = 'StaleIndex';
}

/** What the frame of a directory has to find out about the blocks of its children. */
export interface Blocks {
  /** The block of a directory: captured in this walk, or carried over because nothing moved there. */
  current(path: RawPath): IndexBlock | undefined;
  /** The block it had before this walk. */
  before(path: RawPath): IndexBlock | undefined;
}

const U32 = 2 ** 32;
const NO_RECORDS: Words = new Uint32Array(0);

export class ScanFrame {
  readonly path: RawPath;
  readonly parent: ScanFrame | null;
  readonly old: IndexBlock | undefined;
  /** What is to be looked at below; null: everything. */
  readonly scope: PathNode | null;
  count = 0;
  records: Words = NO_RECORDS;
  /** Left out where the old block has the name at the same position; see `nameAt`. */
  readonly #names: (RawName | undefined)[] = [];
  /** Entries whose inode moved, with what was read of them. `child` of a directory is filled in later. */
  readonly fresh = new Map<string, StoredEntry>();
  readonly gone = new Set<string>();
  readonly relookups = new Map<string, number>();
  /** Children and files under way, and one for the walk through the directory itself. */
  outstanding = 1;
  isChanged = false;
  scannedAtMs = 0;

  constructor(
    path: RawPath,
    parent: ScanFrame | null,
    old: IndexBlock | undefined,
    scope: PathNode | null,
  ) {
    this.path = path;
    this.parent = parent;
    this.old = old;
    this.scope = scope;
    if (old === undefined) this.isChanged = true;
  }

  /** Makes room for one more record and takes its name; the caller fills the record. */
  append(name: RawName): number {
    const index = this.count;
    if ((index + 1) * RECORD_WORDS > this.records.length) {
      const bigger = new Uint32Array(Math.max(8 * RECORD_WORDS, this.records.length * 2));
      bigger.set(this.records);
      this.records = bigger;
    }
    this.#names[index] = name;
    this.count += 1;
    return index;
  }

  /** Takes over the first `count` records of the old block, which are as they were. */
  adoptOld(old: IndexBlock, count: number): void {
    this.records = new Uint32Array(Math.max(8, old.count) * RECORD_WORDS);
    this.records.set(old.records.subarray(0, count * RECORD_WORDS));
    this.#names.length = count;
    this.count = count;
  }

  nameAt(index: number): RawName {
    const known = this.#names[index];
    if (known !== undefined) return known;
    assert(this.old !== undefined, 'a name without an old block was taken from the listing');
    const name = this.old.name(index);
    this.#names[index] = name;
    return name;
  }

  indexOf(name: string): number {
    for (let i = 0; i < this.count; i += 1) if (this.nameAt(i) === name) return i;
    throw new StaleIndex(`no record for ${name}`);
  }

  replaceRecord(index: number, record: Words): void {
    this.records.set(record, index * RECORD_WORDS);
  }

  /** The block this directory has now; its object is written where it is new. */
  finish(blocks: Blocks, files: ObjectFiles, writer: ObjectWriter): IndexBlock {
    const totals = this.#totals(blocks);
    if (!this.isChanged && this.old !== undefined) {
      const isSame =
        this.old.subtreeEntries === totals.subtreeEntries &&
        this.old.subtreeBytes === totals.subtreeBytes;
      return isSame ? this.old : withObject(this.old, { id: this.old.id, ...totals });
    }
    const id = writer.putDirectory(this.#entries(blocks, files));
    return this.#block(id, totals);
  }

  #block(id: ObjectId, totals: { subtreeEntries: number; subtreeBytes: number }): IndexBlock {
    const { path, scannedAtMs } = this;
    let { records } = this;
    let indices = [...Array(this.count).keys()];
    if (this.gone.size > 0) {
      indices = indices.filter((i) => !this.gone.has(this.nameAt(i)));
      records = new Uint32Array(indices.length * RECORD_WORDS);
      for (const [to, from] of indices.entries()) {
        const start = from * RECORD_WORDS;
        records.set(this.records.subarray(start, start + RECORD_WORDS), to * RECORD_WORDS);
      }
    }
    const count = indices.length;
    const names = indices.map((i) => this.nameAt(i));
    const linkedFiles = countLinked(records, count);
    return buildBlock({ path, id, scannedAtMs, ...totals, linkedFiles, count, records, names });
  }

  /** Entries and bytes below, this directory's own included. */
  #totals(blocks: Blocks): { subtreeEntries: number; subtreeBytes: number } {
    let subtreeEntries = 0;
    let subtreeBytes = 0;
    for (let i = 0; i < this.count; i += 1) {
      if (this.gone.size > 0 && this.gone.has(this.nameAt(i))) continue;
      subtreeEntries += 1;
      const format = formatOf(this.records, i);
      if (format === S_IFREG) {
        const at = i * RECORD_WORDS;
        subtreeBytes += (this.records[at + 7] as number) + (this.records[at + 8] as number) * U32;
      } else if (format === S_IFDIR) {
        const child = blocks.current(joinRaw(this.path, this.nameAt(i)));
        subtreeEntries += child?.subtreeEntries ?? 0;
        subtreeBytes += child?.subtreeBytes ?? 0;
      }
    }
    return { subtreeEntries, subtreeBytes };
  }

  #entries(blocks: Blocks, files: ObjectFiles): StoredEntry[] {
    const known = this.#oldEntries(files);
    const entries: StoredEntry[] = [];
    for (let i = 0; i < this.count; i += 1) {
      const name = this.nameAt(i);
      if (this.gone.has(name)) continue;
      const entry = this.fresh.get(name) ?? known.get(name);
      if (entry === undefined) throw new StaleIndex(`no entry for ${name}`);
      if (entry.type !== 'dir') {
        entries.push(entry);
        continue;
      }
      const child = blocks.current(joinRaw(this.path, name));
      if (child === undefined) throw new StaleIndex(`no block for ${name}`);
      entries.push(child.id === entry.child ? entry : { ...entry, child: child.id });
    }
    return entries.sort(byName);
  }

  /** The entries that the directory had before, by name; nothing is read when all are fresh. */
  #oldEntries(files: ObjectFiles): ReadonlyMap<string, StoredEntry> {
    const needsOld = this.fresh.size + this.gone.size < this.count;
    if (!needsOld) return NO_ENTRIES;
    assert(this.old !== undefined, 'a directory without an old block has only fresh entries');
    return new Map(files.readDirectory(this.old.id).map((entry) => [entry.name, entry]));
  }

  /** The old entry of one name; null when there is none. Reads the old object once, when asked. */
  previous(name: string, files: ObjectFiles): StoredEntry | null {
    if (this.old === undefined) return null;
    this.#previous ??= new Map(files.readDirectory(this.old.id).map((e) => [e.name, e]));
    return this.#previous.get(name) ?? null;
  }
  #previous: Map<string, StoredEntry> | null = null;
}

const NO_ENTRIES: ReadonlyMap<string, StoredEntry> = new Map();

function byName(a: StoredEntry, b: StoredEntry): number {
  return a.name < b.name ? -1 : 1;
}

function countLinked(records: Words, count: number): number {
  let linked = 0;
  for (let i = 0; i < count; i += 1) {
    if (formatOf(records, i) === S_IFREG && nlinkOf(records, i) > 1) linked += 1;
  }
  return linked;
}

/** The stored entry of a record, without what has to be read. */
export function entryOfRecord(
  name: RawName,
  records: Words,
  index: number,
  rest: Pick<StoredEntry, 'type' | 'rdev' | 'target' | 'content' | 'xattrs'>,
): StoredEntry {
  const fields = fieldsOf(records, index);
  const isLinked = rest.type === 'file' && fields.nlink > 1;
  return {
    name,
    type: rest.type,
    mode: fields.mode,
    uid: fields.uid,
    gid: fields.gid,
    sizeBytes: rest.type === 'file' ? fields.sizeBytes : 0,
    mtimeSec: fields.mtimeSec,
    mtimeNsec: fields.mtimeNsec,
    rdev: rest.rdev,
    flags: fields.flags,
    linkGroup: isLinked ? fields.ino : 0,
    nlink: isLinked ? fields.nlink : 1,
    content: rest.content,
    child: '',
    target: rest.target,
    xattrs: rest.xattrs,
  };
}

/** A damaged object behind the index makes the index useless, not the capture. */
export function isIndexFailure(error: unknown): boolean {
  if (error instanceof StaleIndex) return true;
  const codes: readonly string[] = ['SNAPSHOT_CORRUPT', 'FORMAT_TOO_NEW'];
  return error instanceof GhostsnapError && codes.includes(error.code);
}
