/** A ledger that is damaged is said to be, and never passes for a new one. */
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WorkspaceId } from '../../src/core/ids.ts';
import type { HostedWorkspace } from '../../src/service/ledger.ts';
import { openLedgerFile } from '../../src/service/ledger-file.ts';
import { openLedger } from '../../src/service/sqlite-ledger.ts';

const ROWS = 200;

let directory = '';
let file = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ghostsnap-ledger-'));
  file = join(directory, 'ledger.db');
  using ledger = openLedger(file);
  ledger.insertAll(Array.from({ length: ROWS }, (_, index) => row(index)));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function row(index: number): HostedWorkspace {
  const last = String(index).padStart(3, '0');
  return {
    id: `ws_01J9Z3K4M5N6P7Q8R9S0T1V${last}` as WorkspaceId,
    ...{ tenant: 'acme', name: null, path: `/w/${last}`, pool: 'main', backend: 'btrfs' },
    ...{ template: null, status: 'active', createdAtMs: 1, request: '' },
  };
}

/** Refused, by its code and with what to do, and left as it is. */
function expectCorrupt(): void {
  const before = existsSync(file) ? readFileSync(file) : null;
  expect(() => openLedger(file)).toThrow(
    expect.objectContaining({ code: 'LEDGER_CORRUPT', hint: expect.stringContaining('backup') }),
  );
  if (before !== null) expect(readFileSync(file)).toEqual(before);
  else expect(existsSync(file)).toBe(false);
}

describe('opening a ledger', () => {
  it('cut off anywhere: at nothing, in its head, between two pages, in a page', () => {
    const whole = `${file}.whole`;
    copyFileSync(file, whole);
    const { length } = readFileSync(file);
    for (const bytes of [0, 1, 50, 99, 512, 4096, 8192, 12_288, length - 4096, length - 1]) {
      copyFileSync(whole, file);
      truncateSync(file, bytes);
      expectCorrupt();
    }
    copyFileSync(whole, file);
    using ledger = openLedger(file);
    expect(ledger.count('acme')).toBe(ROWS);
  });

  it('overwritten: by text, by another program, in the pages that say whose what is', () => {
    const whole = readFileSync(file);
    writeFileSync(file, 'no database at all, but long enough to have a head. '.repeat(20));
    expectCorrupt();
    rmSync(file);
    const other = new DatabaseSync(file);
    other.exec('CREATE TABLE t (x)');
    other.close();
    expectCorrupt();
    const damaged = Buffer.from(whole);
    damaged.fill(0xa5, 4096, whole.length - 4096);
    writeFileSync(file, damaged);
    expectCorrupt();
  });

  it('that is gone while its log is there, and not when both are', () => {
    rmSync(file);
    writeFileSync(`${file}-wal`, 'frames');
    expectCorrupt();
    rmSync(`${file}-wal`);
    using ledger = openLedger(file);
    expect(ledger.count('acme')).toBe(0);
  });

  it('of a newer version is refused as such', () => {
    const newer = new DatabaseSync(file);
    newer.exec('PRAGMA user_version = 99');
    newer.close();
    expect(() => openLedger(file)).toThrow(expect.objectContaining({ code: 'FORMAT_TOO_NEW' }));
  });

  it('has each commit on the disk when it returns', () => {
    const database = openLedgerFile(file, '');
    try {
      expect(database.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
    } finally {
      database.close();
    }
  });

  it('whose making was cut off makes it anew', () => {
    rmSync(file);
    writeFileSync(`${file}.new`, 'half of one');
    writeFileSync(`${file}.new-journal`, 'and its journal');
    using ledger = openLedger(file);
    expect(ledger.count('acme')).toBe(0);
    expect(existsSync(`${file}.new`)).toBe(false);
  });
});
