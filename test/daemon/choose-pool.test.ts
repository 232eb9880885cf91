import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { choosePool, type FilesystemFacts } from '../../src/daemon/choose-pool.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostsnap-choose-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** `disk` and `stick` are filesystems of their own; all else is the one that home is on. */
function choose(workspace: string, canReflink: boolean): string {
  const at = (name: string): string => join(folder, name);
  const filesystemOf = (path: string): FilesystemFacts => {
    const name = ['disk', 'stick'].find((one) => path.startsWith(at(one)));
    return { id: name ?? 'home', mountPoint: name === undefined ? folder : at(name), canReflink };
  };
  mkdirSync(at(workspace), { recursive: true });
  const home = { data: at('home'), config: at('home') };
  const pool = choosePool({
    ...{ home, uid: 1000, workspacePath: at(workspace), backend: 'store', filesystemOf },
  });
  return pool.root.slice(folder.length + 1);
}

describe('choosePool()', () => {
  it('is on the filesystem of the workspace where blocks can be shared', () => {
    expect(choose('disk/project', true)).toBe('disk/.ghostsnap-pool-1000');
    expect(choose('stick/project', true)).toBe('stick/.ghostsnap-pool-1000');
    expect(choose('disk/other', true)).toBe('disk/.ghostsnap-pool-1000');
  });

  it('is in the data directory where nothing can be shared, whatever pools other disks have', () => {
    expect(choose('disk/project', true)).toBe('disk/.ghostsnap-pool-1000');
    const first = choose('project', false);
    expect(first).toBe('home/pools/store-home/root');
    expect(choose('stick/project', false)).toBe(first);
  });

  it('prefers a pool on the filesystem of the workspace that is there already', () => {
    choose('project', false);
    expect(choose('disk/project', true)).toBe('disk/.ghostsnap-pool-1000');
    expect(choose('disk/later', false)).toBe('disk/.ghostsnap-pool-1000');
  });
});
