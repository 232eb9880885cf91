/** Where an agent stands is where its directory really lies, whatever it calls it. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { WorkspaceId } from '../../src/core/ids.ts';
import type { Home } from '../../src/daemon/home.ts';
import { findRecord } from '../../src/daemon/open-workspace.ts';
import { writeWorkspace } from '../../src/daemon/registry.ts';
import { workspaceAround } from '../../src/daemon/workspace-around.ts';

let base: string;
let home: Home;

beforeEach(() => {
  base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-around-'));
  home = { data: join(base, 'home'), config: join(base, 'home') };
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

const IDS = { a: 'ws_01M86E66M1MTJ77K9HGKZGXX9A', b: 'ws_01M86E66M1MTJ77K9HGKZGXX9B' } as const;

function workspace(name: 'a' | 'b', movedTo: string | null = null): string {
  const path = join(base, name);
  if (movedTo === null) mkdirSync(path);
  else symlinkSync(movedTo, path);
  const id = IDS[name] as WorkspaceId;
  writeWorkspace(home, { format: 1, id, path, pool: 'p', backend: 'store', movedTo });
  return path;
}

/** As hooks find it, and as commands do. */
function found(directory: string): string | undefined {
  const hook = workspaceAround(home, directory)?.path;
  const environment = { env: {}, cwd: base, homeDir: base, uid: 0 };
  try {
    expect(findRecord(home, environment, directory).path).toBe(hook);
  } catch (error) {
    if (hook !== undefined) throw error;
  }
  return hook;
}

it('a symlink in one workspace that leads into another one is in the other one', () => {
  const [a, b] = [workspace('a'), workspace('b')];
  symlinkSync(b, join(a, 'link'));
  mkdirSync(join(b, 'deep'));
  expect([found(join(a, 'link')), found(join(a, 'link', 'deep'))]).toEqual([b, b]);
  expect(found(a)).toBe(a);
});

it('a directory that is gone, below a symlink from outside, is in the workspace', () => {
  const a = workspace('a');
  symlinkSync(a, join(base, 'other-name'));
  expect(found(join(base, 'other-name', 'gone', 'deeper'))).toBe(a);
  expect(found(join(a, 'gone'))).toBe(a);
});

it('a workspace that was moved into a pool is known as the kernel names it', () => {
  const tree = join(base, 'pool', 'tree');
  mkdirSync(join(tree, 'src'), { recursive: true });
  const [a, b] = [workspace('a'), workspace('b', tree)];
  expect([found(b), found(tree), found(join(tree, 'src'))]).toEqual([b, b, b]);
  symlinkSync(b, join(a, 'link'));
  expect(found(join(a, 'link', 'src'))).toBe(b);
});

it('where there is none, none is found', () => {
  workspace('a');
  expect([found(base), found('/')]).toEqual([undefined, undefined]);
});
