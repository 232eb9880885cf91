/**
 * The catalog's format: versions from the past and the future, files of other programs, damage.
 */
import {
  copyFileSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mendCatalog } from '../../src/catalog/mend-catalog.ts';
import { APPLICATION_ID, MIGRATIONS, migrate, readFormat } from '../../src/catalog/migrate.ts';
import type { Migration } from '../../src/catalog/migrations/migration.ts';
import { quarantineCatalog } from '../../src/catalog/quarantine-catalog.ts';
import { rebuildProjections } from '../../src/catalog/rebuild-projections.ts';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import { Journal, open, type TemporaryDirectory, temporaryDirectory } from './catalog-fixture.ts';

const FIXTURE = join(import.meta.dirname, 'fixtures', 'v1.sql');

let directory: TemporaryDirectory;
let file = '';

beforeEach(() => {
  directory = temporaryDirectory();
  file = directory.file;
});

afterEach(() => directory[Symbol.dispose]());

function errorOf(work: () => unknown): GhostsnapError {
  try {
    work();
  } catch (error) {
    if (error instanceof GhostsnapError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** A closed catalog with two workspaces and a bit of everything. */
function makeCatalog(): Journal {
  using catalog = open(file);
  const journal = new Journal(catalog).init();
  const first = journal.snapshot({ label: 'first' });
  for (let i = 0; i < 40; i += 1) journal.snapshot();
  journal.turn('rollback', first, null);
  journal.decide({ type: 'pin-snapshot', id: first });
  new Journal(catalog, 2).init().snapshot({ label: 'other' });
  catalog.saveStamp(journal.workspace, 'stamp');
  return journal;
}

function sql(text: string): void {
  using database = new DatabaseSync(file);
  database.exec(text);
}

describe('opening', () => {
  it('makes a catalog of the present format where there is no file or an empty one', () => {
    for (const make of [() => undefined, () => writeFileSync(file, '')]) {
      make();
      using catalog = open(file);
      new Journal(catalog).init();
      using database = new DatabaseSync(file, { readOnly: true });
      expect(readFormat(database)).toEqual({ applicationId: APPLICATION_ID, version: 3 });
      expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
      catalog[Symbol.dispose]();
      database.close();
      quarantineCatalog(file);
    }
  });

  it('reads what version 1 wrote', () => {
    sql(readFileSync(FIXTURE, 'utf8'));
    using catalog = open(file);
    expect(verifyCatalog({ file })).toEqual([]);
    const [row] = catalog.listWorkspaces();
    expect(row).toMatchObject({ path: '/w', backend: 'store', status: 'active' });
    expect(catalog.listSnapshots(row!.workspace).map(({ label }) => label)).toEqual([
      null,
      null,
      'first',
    ]);
    const journal = new Journal(catalog);
    journal.nowMs = 1_800_000_000_000;
    journal.snapshot();
    expect(verifyCatalog({ file })).toEqual([]);
  });

  it('refuses a version from the future and changes nothing', () => {
    makeCatalog();
    sql('PRAGMA user_version = 4');
    const before = readFileSync(file);
    for (const access of ['writable', 'readonly'] as const) {
      const error = errorOf(() => open(file, { access }));
      expect(error.code).toBe('FORMAT_TOO_NEW');
      expect(error.data).toMatchObject({ version: 4, latest: 3 });
    }
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('refuses the database of another program and changes nothing', () => {
    sql('CREATE TABLE theirs (x); PRAGMA application_id = 7');
    const before = readFileSync(file);
    expect(errorOf(() => open(file))).toMatchObject({ code: 'CATALOG_CORRUPT' });
    sql('PRAGMA application_id = 0');
    expect(errorOf(() => open(file)).message).toContain('of another program');
    expect(before.length).toBe(readFileSync(file).length);
  });

  it('makes the files for their owner only', () => {
    using catalog = open(file);
    new Journal(catalog).init();
    const modes = readdirSync(directory.path).map((name) => [
      name,
      statSync(join(directory.path, name)).mode & 0o777,
    ]);
    const names = ['catalog.db', 'catalog.db-shm', 'catalog.db-wal', 'catalog.reserve'];
    expect(modes).toEqual(names.map((name) => [name, 0o600]));
  });

  it('refuses to read a catalog that is missing', () => {
    const error = errorOf(() => open(file, { access: 'readonly' }));
    expect(error).toMatchObject({ code: 'CATALOG_CORRUPT', data: { file } });
    expect(error.hint).toContain('ghostsnap recover');
  });

  it('fails with IO where the directory is missing', () => {
    expect(errorOf(() => open(join(directory.path, 'none', 'catalog.db'))).code).toBe('IO');
  });
});

describe('migrate()', () => {
  const next: Migration = {
    version: 4,
    run: (database) => database.exec('ALTER TABLE workspaces ADD COLUMN colour TEXT'),
  };

  it('takes a file of an older version forward and keeps what is in it', () => {
    makeCatalog();
    using database = new DatabaseSync(file);
    migrate(database, [...MIGRATIONS, next]);
    expect(readFormat(database).version).toBe(4);
    expect(
      database.prepare('SELECT count(*) AS n, max(colour) AS c FROM workspaces').get(),
    ).toEqual({
      n: 2,
      c: null,
    });
    migrate(database, [...MIGRATIONS, next]);
    expect(readFormat(database).version).toBe(4);
  });

  it('leaves the old version when a step fails half-way', () => {
    makeCatalog();
    const broken: Migration = {
      version: 5,
      run: (database) => database.exec('CREATE TABLE half (x); INSERT INTO nowhere VALUES (1)'),
    };
    {
      using database = new DatabaseSync(file);
      expect(() => migrate(database, [...MIGRATIONS, next, broken])).toThrow('nowhere');
      expect(readFormat(database).version).toBe(3);
    }
    expect(verifyCatalog({ file })).toEqual([]);
  });

  it('does not take a file back that a later program migrated meanwhile', () => {
    makeCatalog();
    using database = new DatabaseSync(file);
    migrate(database, [...MIGRATIONS, next]);
    migrate(database, MIGRATIONS);
    expect(readFormat(database).version).toBe(4);
  });
});

describe('a damaged catalog', () => {
  it('is CATALOG_CORRUPT with a hint when it is no database at all', () => {
    writeFileSync(file, 'once upon a time, '.repeat(1000));
    const error = errorOf(() => open(file));
    expect(error.code).toBe('CATALOG_CORRUPT');
    expect(error.hint).toContain('ghostsnap recover');
    expect(verifyCatalog({ file })[0]).toContain('damaged');
  });

  it('is CATALOG_CORRUPT when it was cut short', () => {
    const journal = makeCatalog();
    truncateSync(file, 4096 * 3);
    expect(verifyCatalog({ file })).not.toEqual([]);
    const error = errorOf(() => {
      using catalog = open(file);
      catalog.listSnapshots(journal.workspace);
      catalog.events(journal.workspace, 0, 1000);
    });
    expect(error.code).toBe('CATALOG_CORRUPT');
  });

  it('is never taken for a sound one when a page is torn', () => {
    makeCatalog();
    const whole = readFileSync(file);
    // Either half: a page's header and pointers are in the first, most of its content in the second.
    for (let half = 2; half < whole.length / 2048; half += 1) {
      if (isUnused(whole, half)) continue;
      const torn = Buffer.from(whole);
      torn.fill(0xa5, half * 2048, (half + 1) * 2048);
      const copy = join(directory.path, `torn-${half}.db`);
      writeFileSync(copy, torn);
      expect(verifyCatalog({ file: copy }), `half page ${half}`).not.toEqual([]);
    }
  });

  it('is CATALOG_CORRUPT when a table is gone', () => {
    makeCatalog();
    sql('DROP TABLE history');
    using catalog = open(file);
    const error = errorOf(() => new Journal(catalog).snapshot());
    expect(error.code).toBe('CATALOG_CORRUPT');
  });
});

/** The unused middle of a page may hold anything. */
function isUnused(file: Buffer, half: number): boolean {
  return file.subarray(half * 2048, (half + 1) * 2048).every((byte) => byte === 0);
}

describe('verifyCatalog() and rebuildProjections()', () => {
  it('find and mend a projection that is not what the events say', () => {
    const journal = makeCatalog();
    const before = readRows();
    const damages = [
      "UPDATE snapshots SET label = 'forged'",
      'DELETE FROM snapshots WHERE pinned = 1',
      'UPDATE history SET position = position + 100',
      "UPDATE operations SET outcome = 'abandoned'",
      "UPDATE workspaces SET path = '/elsewhere', sequence = 3",
      "INSERT INTO snapshots VALUES (7, 'ghost_x', 1, 'ordinary', NULL, NULL, NULL, NULL, NULL, 0)",
    ];
    for (const damage of damages) {
      sql(damage);
      expect(verifyCatalog({ file }), damage).toHaveLength(1);
      expect(rebuildProjections({ file })).toBe(2);
      expect(verifyCatalog({ file }), damage).toEqual([]);
      expect(readRows()).toEqual(before);
    }
    using catalog = open(file);
    expect(catalog.loadState(journal.workspace)).toEqual(journal.state);
    // Whoever opens next compares with the disk.
    expect(catalog.loadStamp(journal.workspace)).toBe('');
  });

  it('go through a log of several pages to its end', () => {
    const journal = makeCatalog();
    {
      using catalog = open(file);
      const longer = new Journal(catalog);
      longer.nowMs = journal.nowMs;
      for (let i = 0; i < 2000; i += 1) longer.snapshot();
    }
    const before = readRows();
    expect(verifyCatalog({ file })).toEqual([]);
    rebuildProjections({ file });
    expect(readRows()).toEqual(before);
  });

  it('report an event that is missing, and a rebuild changes nothing then', () => {
    makeCatalog();
    sql('DELETE FROM events WHERE workspace = 1 AND sequence = 5');
    expect(verifyCatalog({ file })[0]).toContain('does not follow');
    const before = readRows();
    expect(errorOf(() => rebuildProjections({ file })).code).toBe('CATALOG_CORRUPT');
    expect(readRows()).toEqual(before);
  });

  it('report an event that is not readable', () => {
    makeCatalog();
    sql("UPDATE events SET body = '{' WHERE workspace = 2 AND sequence = 1");
    expect(verifyCatalog({ file })[0]).toContain('not readable');
  });

  function readRows(): unknown {
    using database = new DatabaseSync(file, { readOnly: true });
    const columns = 'number, id, path, backend, pool, status, sequence, state';
    return ['snapshots', 'operations', 'history']
      .map((table) => database.prepare(`SELECT * FROM ${table}`).all())
      .concat([database.prepare(`SELECT ${columns} FROM workspaces`).all()]);
  }
});

describe('quarantineCatalog()', () => {
  it('sets the files aside, the log included, so that a new catalog starts empty', () => {
    const catalog = open(file);
    const journal = new Journal(catalog).init();
    copyFileSync(file, `${file}.copy`);
    copyFileSync(`${file}-wal`, join(directory.path, 'wal'));
    catalog[Symbol.dispose]();
    copyFileSync(`${file}.copy`, file);
    copyFileSync(join(directory.path, 'wal'), `${file}-wal`);
    const aside = quarantineCatalog(file);
    expect(aside).toBe(`${file}.broken-1`);
    using fresh = open(file);
    expect(fresh.listWorkspaces()).toEqual([]);
    using old = open(aside!);
    expect(old.loadState(journal.workspace)).toEqual(journal.state);
  });

  it('counts up, keeps earlier ones, and has nothing to do where there is no file', () => {
    expect(quarantineCatalog(file)).toBeNull();
    writeFileSync(file, 'one');
    expect(quarantineCatalog(file)).toBe(`${file}.broken-1`);
    writeFileSync(file, 'two');
    expect(quarantineCatalog(file)).toBe(`${file}.broken-2`);
    expect(readFileSync(`${file}.broken-1`, 'utf8')).toBe('one');
  });

  it('finishes under the same name after a kill half-way', () => {
    writeFileSync(`${file}.broken-1-wal`, 'log');
    writeFileSync(file, 'database');
    expect(quarantineCatalog(file)).toBe(`${file}.broken-1`);
    expect(readFileSync(`${file}.broken-1-wal`, 'utf8')).toBe('log');
  });
});

describe('mendCatalog()', () => {
  it('leaves a sound catalog and a missing one alone', () => {
    expect(mendCatalog(file)).toEqual({ outcome: 'missing' });
    makeCatalog();
    const before = readFileSync(file);
    expect(mendCatalog(file)).toEqual({ outcome: 'sound' });
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('makes wrong projections again and keeps every label', () => {
    const journal = makeCatalog();
    sql('DELETE FROM snapshots');
    expect(mendCatalog(file)).toEqual({ outcome: 'rebuilt' });
    using catalog = open(file);
    expect(catalog.findByLabel(journal.workspace, 'first')).not.toBeNull();
  });

  it('sets aside what can not be mended', () => {
    makeCatalog();
    sql('DELETE FROM events WHERE sequence = 4');
    expect(mendCatalog(file)).toEqual({ outcome: 'set-aside', to: `${file}.broken-1` });
    using fresh = open(file);
    expect(fresh.listWorkspaces()).toEqual([]);
    fresh[Symbol.dispose]();
    writeFileSync(file, 'not a database, by far');
    expect(mendCatalog(file)).toEqual({ outcome: 'set-aside', to: `${file}.broken-2` });
  });

  it('sets aside one whose events lack what a column needs', () => {
    makeCatalog();
    sql(`UPDATE events SET body = '{}' WHERE sequence = 1`);
    expect(verifyCatalog({ file })).toHaveLength(1);
    expect(mendCatalog(file)).toMatchObject({ outcome: 'set-aside' });
  });

  it('sets aside what is not sound though its projections could be made again', () => {
    makeCatalog();
    {
      using database = new DatabaseSync(file, { defensive: false });
      database.exec(`CREATE INDEX extra ON events (at_ms);
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = 'CREATE INDEX extra ON events (type)' WHERE name = 'extra'`);
    }
    expect(mendCatalog(file)).toEqual({ outcome: 'set-aside', to: `${file}.broken-1` });
  });

  it('does not set aside one that somebody else is writing to', () => {
    const journal = makeCatalog();
    sql('DELETE FROM snapshots');
    {
      using writer = new DatabaseSync(file);
      writer.exec('BEGIN IMMEDIATE');
      expect(errorOf(() => mendCatalog(file, { busyTimeoutMs: 0 })).code).toBe('LOCKED');
    }
    expect(mendCatalog(file)).toEqual({ outcome: 'rebuilt' });
    using catalog = open(file);
    expect(catalog.findByLabel(journal.workspace, 'first')).not.toBeNull();
  });

  it('does not touch a catalog from the future', () => {
    makeCatalog();
    sql('PRAGMA user_version = 9');
    expect(errorOf(() => mendCatalog(file)).code).toBe('FORMAT_TOO_NEW');
    expect(quarantineCatalog(file)).toBe(`${file}.broken-1`);
  });
});
