/** "I could not look" is never "there is nothing": what decides over a file's life asks this. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isThere } from '../../src/backend/is-there.ts';
import { quarantineCatalog } from '../../src/catalog/quarantine-catalog.ts';
import { changeHooks } from '../prove/operations.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostsnap-there-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A link to itself is there, and nobody can look at it: as with EIO, `existsSync` says no. */
function makeUnlookable(name: string): void {
  symlinkSync(basename(name), join(folder, name));
}

test('nothing, something below a file, and a link to nothing are not there', () => {
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('nowhere', join(folder, 'link'));
  expect(isThere(join(folder, 'file'))).toBe(true);
  for (const name of ['none', 'file/below', 'link']) {
    expect(isThere(join(folder, name))).toBe(false);
  }
});

test('what can not be looked at is an error and not an answer', () => {
  makeUnlookable('loop');
  expect(() => isThere(join(folder, 'loop'))).toThrow('ELOOP');
});

test('a catalog stays where it is while nobody can tell whether it has a log', () => {
  const file = join(folder, 'catalog.db');
  writeFileSync(file, 'damaged');
  makeUnlookable('catalog.db-wal');
  expect(() => quarantineCatalog(file)).toThrow('ELOOP');
  expect(readdirSync(folder).sort()).toEqual(['catalog.db', 'catalog.db-wal']);
});

test('what a file of a harness held at first is not written over when it can not be looked at', () => {
  const environment = { env: {}, cwd: folder, homeDir: folder, uid: 0 };
  mkdirSync(join(folder, '.claude'));
  const file = join(folder, '.claude/settings.json');
  writeFileSync(file, '{}');
  makeUnlookable('.claude/settings.json.before-ghostsnap');
  const change = (): void => changeHooks('hook-install', 'claude-code', environment);
  expect(change).toThrow(expect.objectContaining({ code: 'IO' }));
  expect(readFileSync(file, 'utf8')).toBe('{}');
});
