import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GhostsnapError } from '../../src/core/errors.ts';
import { nextUlid, poolId, workspaceId } from '../../src/core/ids.ts';
import { DEFAULT_RETENTION_POLICY } from '../../src/core/retention/policy.ts';
import { loadRetentionPolicy } from '../../src/daemon/config.ts';
import { type Environment, type Home, resolveHome } from '../../src/daemon/home.ts';
import {
  findWorkspaceAround,
  listPoolRecords,
  listWorkspaceRecords,
  parsePoolName,
  readPool,
  readWorkspace,
  removeWorkspace,
  type WorkspaceRecord,
  writePool,
  writeWorkspace,
} from '../../src/daemon/registry.ts';
import type { PoolRecord } from '../../src/pool/pool.ts';

const ULID = nextUlid('', 1_700_000_000_000, new Uint8Array(10));
const POOL: PoolRecord = {
  ...{ format: 1, id: poolId(ULID), name: 'main', kind: 'store', root: '/pool' },
  ...{ image: null, createdAtMs: 1_700_000_000_000 },
};

let base = '';
let home: Home;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ghostsnap-registry-'));
  home = { data: join(base, 'data'), config: join(base, 'config') };
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

function workspace(path: string): WorkspaceRecord {
  const id = workspaceId(ULID);
  return { format: 1, id, path, pool: 'main', backend: 'store', movedTo: null };
}

function errorOf(work: () => unknown): GhostsnapError {
  try {
    work();
  } catch (error) {
    if (error instanceof GhostsnapError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function environment(env: Record<string, string>): Environment {
  return { env, cwd: '/', homeDir: '/home/ada', uid: 1000 };
}

/** The one file in a directory. */
function onlyFile(directory: string): string {
  const names = readdirSync(directory);
  expect(names).toHaveLength(1);
  return join(directory, names[0]!);
}

describe('resolveHome()', () => {
  it('follows the XDG directories, or GHOSTSNAP_HOME for all of them', () => {
    expect(resolveHome(environment({}))).toEqual({
      data: '/home/ada/.local/share/ghostsnap',
      config: '/home/ada/.config/ghostsnap',
    });
    const xdg = { XDG_DATA_HOME: '/d', XDG_CONFIG_HOME: '/c' };
    expect(resolveHome(environment(xdg))).toEqual({ data: '/d/ghostsnap', config: '/c/ghostsnap' });
    const own = { ...xdg, GHOSTSNAP_HOME: '/own/' };
    expect(resolveHome(environment(own))).toEqual({ data: '/own', config: '/own' });
  });

  it('ignores relative and empty values', () => {
    const relative = { XDG_DATA_HOME: 'd', XDG_CONFIG_HOME: '', GHOSTSNAP_HOME: '' };
    expect(resolveHome(environment(relative))).toEqual(resolveHome(environment({})));
  });
});

describe('the registry', () => {
  it('gives back what was written, and null for what was not', () => {
    expect(readPool(home, 'main')).toBeNull();
    expect(listPoolRecords(home)).toEqual([]);
    writePool(home, POOL);
    writeWorkspace(home, workspace('/w'));
    expect(readPool(home, 'main')).toEqual(POOL);
    expect(readWorkspace(home, '/w')).toEqual(workspace('/w'));
    expect(readWorkspace(home, '/W')).toBeNull();
    expect(listWorkspaceRecords(home)).toEqual([workspace('/w')]);
    removeWorkspace(home, '/w');
    removeWorkspace(home, '/w');
    expect(listWorkspaceRecords(home)).toEqual([]);
  });

  it('is for its owner only', () => {
    writeWorkspace(home, workspace('/w'));
    const directory = join(home.data, 'workspaces');
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(onlyFile(directory)).mode & 0o777).toBe(0o600);
  });

  it('finds the nearest workspace around a directory', () => {
    writeWorkspace(home, workspace('/a/b'));
    writeWorkspace(home, workspace('/a/b/c/d'));
    const found = (at: string): string | undefined => findWorkspaceAround(home, at)?.path;
    expect(found('/a/b')).toBe('/a/b');
    expect(found('/a/b/c')).toBe('/a/b');
    expect(found('/a/b/c/d/e/f')).toBe('/a/b/c/d');
    expect(found('/a')).toBeUndefined();
    expect(found('/a/bc')).toBeUndefined();
    expect(found('/')).toBeUndefined();
  });

  it('passes over a pool that was never finished and what a kill left of a write', () => {
    writePool(home, POOL);
    mkdirSync(join(home.data, 'pools', 'unfinished'));
    writeWorkspace(home, workspace('/w'));
    writeFileSync(`${onlyFile(join(home.data, 'workspaces'))}.1234.tmp`, '{"format"');
    expect(listPoolRecords(home)).toEqual([POOL]);
    expect(listWorkspaceRecords(home)).toEqual([workspace('/w')]);
  });

  it('refuses garbage, naming the file, and a format from the future', () => {
    writeWorkspace(home, workspace('/w'));
    const file = onlyFile(join(home.data, 'workspaces'));
    const broken = [
      '',
      '{',
      '[]',
      'null',
      '{"format":1}',
      JSON.stringify({ ...workspace('/w'), id: 'ws_../../x' }),
      JSON.stringify({ ...workspace('/w'), path: 'relative' }),
      JSON.stringify({ ...workspace('/w'), pool: '../outside' }),
      JSON.stringify({ ...workspace('/w'), backend: 'tape' }),
    ];
    for (const text of broken) {
      writeFileSync(file, text);
      const error = errorOf(() => readWorkspace(home, '/w'));
      expect(error.code, text).toBe('BAD_CONFIG');
      expect(error.message).toContain(file);
    }
    writeFileSync(file, JSON.stringify({ ...workspace('/w'), format: 2, shape: 'unknown' }));
    expect(errorOf(() => readWorkspace(home, '/w')).code).toBe('FORMAT_TOO_NEW');
  });

  it('refuses a pool name that could leave its directory', () => {
    for (const name of ['', '.', '..', 'a/b', '-rf', 'a\n', 'x'.repeat(65)]) {
      expect(errorOf(() => parsePoolName(name)).code, name).toBe('BAD_ARGUMENT');
    }
    expect(parsePoolName('Main-1.pool_2')).toBe('Main-1.pool_2');
  });
});

describe('loadRetentionPolicy()', () => {
  function config(text: string): void {
    mkdirSync(home.config, { recursive: true });
    writeFileSync(join(home.config, 'config.json'), text);
  }

  it('is the default where nothing is configured, and writes nothing', () => {
    expect(loadRetentionPolicy(home, DEFAULT_RETENTION_POLICY)).toEqual(DEFAULT_RETENTION_POLICY);
    expect(existsSync(home.config)).toBe(false);
  });

  it('takes what is given over the default', () => {
    config('{"retention":{"keepLast":7,"weeklyForMs":0}}');
    expect(loadRetentionPolicy(home, DEFAULT_RETENTION_POLICY)).toEqual({
      ...DEFAULT_RETENTION_POLICY,
      keepLast: 7,
      weeklyForMs: 0,
    });
  });

  it('lists every error at once', () => {
    config('{"retention":{"keepLast":-1,"keepWithinMs":"4h","forever":true},"colour":1}');
    const error = errorOf(() => loadRetentionPolicy(home, DEFAULT_RETENTION_POLICY));
    expect(error.code).toBe('BAD_CONFIG');
    expect(error.data.errors).toEqual([
      'colour is not known',
      'retention.forever is not known',
      'retention.keepLast must be a whole number that is not negative',
      'retention.keepWithinMs must be a whole number that is not negative',
    ]);
  });

  it('refuses what is not JSON or not an object', () => {
    for (const text of ['', '{', '[]', '1', 'null', '{"retention":[]}', '{"retention":null,}']) {
      config(text);
      const error = errorOf(() => loadRetentionPolicy(home, DEFAULT_RETENTION_POLICY));
      expect(error.code, text).toBe('BAD_CONFIG');
    }
  });
});
