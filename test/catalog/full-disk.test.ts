/**
 * The catalog on a disk that is full: a real tmpfs of two megabytes, filled to the last byte.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reserveFileOf } from '../../src/catalog/catalog-reserve.ts';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import type { Catalog } from '../../src/engine/ports.ts';
import { Journal, open, type TemporaryDirectory, temporaryDirectory } from './catalog-fixture.ts';

const RESERVE_BYTES = 512 * 1024;

let directory: TemporaryDirectory;
let mount = '';
let file = '';

beforeEach(() => {
  directory = temporaryDirectory();
  mount = join(directory.path, 'small');
  mkdirSync(mount);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', mount]);
  file = join(mount, 'catalog.db');
});

afterEach(() => {
  execFileSync('umount', [mount]);
  directory[Symbol.dispose]();
});

/** Writes a file until nothing more fits. */
function fillDisk(): void {
  const fd = openSync(join(mount, 'filler'), 'a');
  try {
    for (let size = 4096; size >= 1; size = Math.floor(size / 2)) {
      try {
        for (;;) writeSync(fd, Buffer.alloc(size, 1));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** Snapshots until the disk takes no more: the log is reused up to here, then must grow. */
function snapshotUntilFull(journal: Journal): { ids: SnapshotId[]; error: unknown } {
  const ids: SnapshotId[] = [];
  for (;;) {
    try {
      ids.push(journal.snapshot());
    } catch (error) {
      return { ids, error };
    }
  }
}

function filled(): { catalog: Catalog; journal: Journal; ids: SnapshotId[] } {
  const catalog = open(file, { reserveBytes: RESERVE_BYTES });
  const journal = new Journal(catalog).init();
  for (let i = 0; i < 20; i += 1) journal.snapshot();
  fillDisk();
  const { error } = snapshotUntilFull(journal);
  expect(error).toMatchObject({ code: 'POOL_FULL' });
  return { catalog, journal, ids: [...catalog.snapshotIds(journal.workspace)] };
}

describe('a catalog on a full disk', () => {
  it('refuses a snapshot with POOL_FULL and keeps what it had', () => {
    const { catalog, journal } = filled();
    using _catalog = catalog;
    expect(catalog.loadState(journal.workspace)).toEqual(journal.state);
    expect(existsSync(reserveFileOf(file))).toBe(true);
    expect(verifyCatalog({ file })).toEqual([]);
  });

  it('records deletions and a rollback out of its reserve', () => {
    const { catalog, journal, ids } = filled();
    using _catalog = catalog;
    journal.delete(ids.slice(0, 10));
    journal.turn('rollback', ids[12]!, null);
    expect(existsSync(reserveFileOf(file))).toBe(false);
    expect(catalog.loadState(journal.workspace)).toEqual(journal.state);
    expect(verifyCatalog({ file })).toEqual([]);
  });

  it('takes no snapshots out of its reserve, and makes it again when there is room', () => {
    const { catalog, journal, ids } = filled();
    using _catalog = catalog;
    journal.delete(ids.slice(0, 5));
    expect(existsSync(reserveFileOf(file))).toBe(false);
    expect(() => journal.snapshot()).toThrow('no room for more');
    rmSync(join(mount, 'filler'));
    journal.snapshot();
    expect(existsSync(reserveFileOf(file))).toBe(true);
  });

  it('opens and records deletions after it was closed and the disk filled up', () => {
    const catalog = open(file, { reserveBytes: RESERVE_BYTES });
    const journal = new Journal(catalog).init();
    for (let i = 0; i < 20; i += 1) journal.snapshot();
    catalog[Symbol.dispose]();
    expect(readdirSync(mount)).toEqual(['catalog.db', 'catalog.reserve']);
    fillDisk();
    using again = open(file, { reserveBytes: RESERVE_BYTES });
    expect(again.loadState(journal.workspace)).toEqual(journal.state);
    again.saveStamp(journal.workspace, 'saved or not, not an error');
    new Journal(again).delete(again.snapshotIds(journal.workspace).slice(0, 3));
    expect(again.snapshotIds(journal.workspace)).toHaveLength(17);
    expect(verifyCatalog({ file })).toEqual([]);
  });

  it('is read on a full disk, too', () => {
    const catalog = open(file, { reserveBytes: RESERVE_BYTES });
    const journal = new Journal(catalog).init();
    catalog[Symbol.dispose]();
    fillDisk();
    using reader = open(file, { access: 'readonly', reserveBytes: RESERVE_BYTES });
    expect(reader.loadState(journal.workspace)).toEqual(journal.state);
  });
});
