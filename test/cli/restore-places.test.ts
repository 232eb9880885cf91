/** Paths as people name them, and where `restore --to` may write. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CliWorkspace, makeCliWorkspace } from './cli-workspace.ts';

let stage: CliWorkspace;

beforeEach(async () => {
  stage = await makeCliWorkspace('store');
  await stage.ok(['init']);
});
afterEach(() => stage[Symbol.asyncDispose]());

describe('an absolute path through a symlink', () => {
  it('is in the workspace that the symlink leads to', async () => {
    const link = join(stage.base, 'link');
    symlinkSync('project', link);
    rmSync(join(stage.path, 'src'), { recursive: true });
    await stage.ok(['restore', '@', join(link, 'src/deep')]);
    expect(readFileSync(join(stage.path, 'src/deep/a.ts'), 'utf8')).toBe('deep\n');
    expect(existsSync(join(stage.path, 'src/main.ts'))).toBe(false);
    expect(await stage.ok(['diff', '@', '--name-status', '--', link])).toContain('src/main.ts');
    await stage.ok(['restore', '@', join(link, 'caf\\xe9'), '--dry-run']);
  });

  it('that leads into the workspace from outside is what it leads to; one inside is itself', async () => {
    const link = join(stage.base, 'into');
    symlinkSync('project/src', link);
    expect(await stage.ok(['blame', join(link, 'main.ts')])).toContain('three');
    rmSync(join(stage.path, 'link'));
    const shown = await stage.ok(['restore', '@', join(stage.path, 'link'), '--dry-run']);
    expect(shown).toMatch(/create\s+link\n/);
  });

  it('that leads elsewhere is outside', async () => {
    const link = join(stage.base, 'away');
    mkdirSync(join(stage.base, 'other'));
    symlinkSync('other', link);
    const { status, stderr } = await stage.cli(['restore', '@', join(link, 'src')]);
    expect([status, stderr]).toEqual([64, expect.stringContaining('PATH_OUTSIDE')]);
  });
});

describe('restore --to', () => {
  it("writes nothing into ghostsnap's own directory, its pools, nor another workspace", async () => {
    const other = join(stage.base, 'other');
    mkdirSync(other);
    await stage.ok(['init', other, '--pool', join(stage.base, 'snapshots')]);
    const link = join(stage.base, 'link');
    symlinkSync('home/pools', link);
    const places = {
      home: join(stage.base, 'home'),
      new: join(stage.base, 'home/pools/new'),
      link: join(link, 'new'),
      pool: join(stage.base, 'snapshots/.ghostsnap/x'),
      other,
      below: join(other, 'below'),
    };
    const before = listAll(stage.base);
    for (const [name, place] of Object.entries(places)) {
      const { status, stderr } = await stage.cli(['restore', '@', 'src', '--to', place]);
      expect([name, status, stderr]).toEqual([
        name,
        77,
        expect.stringContaining('TARGET_PROTECTED'),
      ]);
    }
    expect(listAll(stage.base)).toEqual(before);
  });

  it('judges each path and not only the directory', async () => {
    mkdirSync(join(stage.path, 'home'));
    await stage.ok(['snap']);
    const { status, stderr } = await stage.cli(['restore', '@', 'home', '--to', stage.base]);
    expect([status, stderr]).toEqual([77, expect.stringContaining('TARGET_PROTECTED')]);
  });

  it("writes beside ghostsnap's directory, and into the workspace itself", async () => {
    for (const place of [join(stage.base, 'home2'), join(stage.path, 'old')]) {
      await stage.ok(['restore', '@', 'src', '--to', place]);
      expect(readdirSync(join(place, 'src'))).toEqual(['deep', 'main.ts']);
    }
  });
});

/** But for locks and the catalog, which a command that is refused opens as well. */
function listAll(base: string): readonly string[] {
  return readdirSync(base, { recursive: true, encoding: 'utf8' })
    .filter((path) => !/catalog|locks/.test(path))
    .sort();
}
