/**
 * The catalog in a btrfs subvolume with a limit: nothing is mapped into memory there, because a page that the
 * limit refuses ends the process with SIGBUS. So each step that may do that is a process of its own.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { journalOf } from '../../src/catalog/catalog-journal.ts';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';
import { Journal, open } from './catalog-fixture.ts';

const CHILD = join(import.meta.dirname, 'quota-child.ts');

let image: LoopImage;
let subvolumes = 0;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 128 });
  btrfs('quota', 'enable', image.mountPath);
});
afterAll(async () => await image?.dispose());

function btrfs(...args: readonly string[]): void {
  execFileSync('btrfs', ['-q', ...args], { stdio: 'pipe' });
}

function makeSubvolume(): string {
  const path = join(image.mountPath, `s${subvolumes}`);
  subvolumes += 1;
  btrfs('subvolume', 'create', path);
  return path;
}

/** Through the top level: a subvolume that is full has no room for being told of another limit. */
function limit(path: string, size: string): void {
  const id = execFileSync('btrfs', ['inspect-internal', 'rootid', path], { encoding: 'utf8' });
  btrfs('qgroup', 'limit', size, `0/${id.trim()}`, image.mountPath);
}

/** Snapshots are recorded until it fails, then listed, by a process of its own. */
function recordUntilFull(file: string): {
  code: string | null;
  read: number;
  signal: string | null;
} {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [CHILD, file], {
    encoding: 'utf8',
  });
  if (signal !== null) return { code: null, read: 0, signal };
  if (status !== 0) throw new Error(stderr);
  return { ...(JSON.parse(stdout) as { code: string; read: number }), signal: null };
}

describe('a catalog in a subvolume with a limit', () => {
  it('is refused with a code when the limit is reached, can be read, and goes on with room again', () => {
    const path = makeSubvolume();
    const file = join(path, 'catalog.db');
    limit(path, '8M');
    {
      using catalog = open(file);
      new Journal(catalog).init().snapshot();
    }
    expect(journalOf(file)).toBe('rollback');
    expect(existsSync(`${file}-shm`)).toBe(false);
    writeFileSync(join(path, 'filler'), Buffer.alloc(6 << 20, 1));
    execFileSync('sync', ['-f', path]);
    limit(path, '1M');
    const refused = recordUntilFull(file);
    expect(refused).toMatchObject({ code: 'POOL_FULL', signal: null });
    expect(refused.read).toBeGreaterThan(0);
    limit(path, 'none');
    {
      using catalog = open(file);
      new Journal(catalog).snapshot();
    }
    // Without a limit the log is back.
    expect(journalOf(file)).toBe('log');
    expect(verifyCatalog({ file })).toEqual([]);
  });

  it('that was made before the limit leaves the log, also when the limit is reached already', () => {
    const path = makeSubvolume();
    const file = join(path, 'catalog.db');
    {
      using catalog = open(file);
      new Journal(catalog).init().snapshot();
    }
    expect(journalOf(file)).toBe('log');
    writeFileSync(join(path, 'filler'), Buffer.alloc(6 << 20, 1));
    execFileSync('sync', ['-f', path]);
    limit(path, '1M');
    expect(recordUntilFull(file)).toMatchObject({ code: 'POOL_FULL', signal: null });
    limit(path, '64M');
    {
      using catalog = open(file);
      new Journal(catalog).snapshot();
    }
    expect(journalOf(file)).toBe('rollback');
    expect(readFileSync(file).length).toBeGreaterThan(0);
  });
});
