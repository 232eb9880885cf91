/**
 * A workspace whose directory was moved is bound again, by proof and not by name; one that is gone for
 * good is forgotten. Killed at every step, both are finished by doing them again.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { forgetWorkspace } from '../../src/daemon/forget-workspace.ts';
import type { Environment } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import { REGISTER_STEPS, recoverWorkspace } from '../../src/daemon/recover-workspace.ts';
import { ABANDON_STEPS, REBIND_STEPS } from '../../src/engine/rebind.ts';
import { assertSameDigest, digestTree } from '../checker/tree-digest.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';

const CHILD = join(import.meta.dirname, 'rebind-child.ts');
const RUNS_MAX = 40;

describe.each(['store', 'btrfs'] as const)('%s', (backend) => {
  let image: LoopImage | null = null;
  let base: string;
  let environment: Environment;
  let oldPath: string;
  let newPath: string;

  beforeAll(async () => {
    image = backend === 'btrfs' ? await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 }) : null;
  });
  afterAll(async () => {
    await image?.dispose();
  });
  beforeEach(async () => {
    base = mkdtempSync(join(image?.mountPath ?? realpathSync(tmpdir()), 'ghostsnap-rebind-'));
    const env = { GHOSTSNAP_HOME: join(base, 'home') };
    environment = { env, cwd: base, homeDir: base, uid: process.getuid?.() ?? 0 };
    oldPath = join(base, 'project');
    newPath = join(base, 'elsewhere/shop');
    await make();
    return () => {
      if (image === null) rmSync(base, { recursive: true, force: true });
    };
  });

  async function make(): Promise<void> {
    mkdirSync(join(oldPath, 'src'), { recursive: true });
    mkdirSync(join(base, 'elsewhere'), { recursive: true });
    writeFileSync(join(oldPath, 'src/a'), 'first\n');
    await initWorkspace({ path: oldPath, environment, backend });
    writeFileSync(join(oldPath, 'src/a'), 'second\n');
  }

  function runKilledAt(nth: number, what: 'rebind' | 'abandon', workspace: string): string | null {
    const request = JSON.stringify({ what, workspace, nth, environment });
    const run = spawnSync(process.execPath, [CHILD, request], { encoding: 'utf8' });
    if (run.status !== 0 && run.signal !== 'SIGKILL') throw new Error(run.stderr);
    return run.signal === 'SIGKILL' ? run.stdout : null;
  }

  const registered = (): string[] =>
    readdirSync(join(base, 'home/workspaces')).map((name) => {
      const text = readFileSync(join(base, 'home/workspaces', name), 'utf8');
      return (JSON.parse(text) as { path: string }).path;
    });

  async function goesBack(at: string): Promise<void> {
    const before = digestTree(at);
    await using workspace = await openWorkspace({ workspace: at, environment });
    const { id } = await workspace.snapshot({ label: 'at its new path' });
    await workspace.rollback(workspace.list().at(-1)?.id ?? '');
    expect(readFileSync(join(at, 'src/a'), 'utf8')).toBe('first\n');
    await workspace.rollback(id);
    assertSameDigest(before, digestTree(at), 'there and back');
  }

  test('a moved workspace is bound to its new path, from a directory in it', async () => {
    renameSync(oldPath, newPath);
    const workspace = join(newPath, 'src');
    await expect(openWorkspace({ workspace, environment })).rejects.toMatchObject({
      code: 'WORKSPACE_NOT_FOUND',
      hint: expect.stringContaining('ghostsnap recover') as string,
    });
    const report = await recoverWorkspace({ workspace, environment });
    expect(report.rebound).toEqual({ from: oldPath, to: newPath });
    expect(registered()).toEqual([newPath]);
    await goesBack(newPath);
    const again = await recoverWorkspace({ workspace, environment });
    expect(again).toMatchObject({ rebound: null, isThere: true });
  });

  test('a rollback makes no second tree at the old path of a workspace that was moved', async () => {
    for (const moved of [newPath, `${oldPath}.bak`, `${base}-up`]) {
      renameSync(oldPath, moved);
      {
        await using workspace = await openWorkspace({ workspace: oldPath, environment });
        await expect(workspace.rollback('@')).rejects.toMatchObject({
          code: 'WORKSPACE_GONE',
          data: { path: oldPath, movedTo: moved },
        });
      }
      expect(existsSync(oldPath)).toBe(false);
      renameSync(moved, oldPath);
    }
    await goesBack(oldPath);
  });

  test('a rebinding killed at every step is finished by the next', async () => {
    const labels: (string | null)[] = [];
    let from = oldPath;
    let to = newPath;
    for (let nth = 1; labels.at(-1) !== null && nth < RUNS_MAX; nth += 1) {
      renameSync(from, to);
      labels.push(runKilledAt(nth, 'rebind', to));
      const report = await recoverWorkspace({ workspace: to, environment });
      expect(report.isThere, `killed at ${labels.at(-1)}`).toBe(true);
      expect(registered(), `killed at ${labels.at(-1)}`).toEqual([to]);
      await goesBack(to);
      [from, to] = [to, from];
    }
    expect(labels).toEqual([...REBIND_STEPS, ...REGISTER_STEPS, null]);
  });

  test('a workspace whose record is lost says which file it is, and what is said to do works', async () => {
    let recordFile = '';
    {
      await using workspace = await openWorkspace({ workspace: oldPath, environment });
      const { poolRoot, workspace: id } = workspace.info;
      recordFile = join(poolRoot, '.ghostsnap', id, 'workspace.json');
    }
    rmSync(recordFile);
    const missing = {
      code: 'WORKSPACE_NOT_FOUND',
      message: expect.stringContaining(recordFile) as string,
      hint: expect.stringContaining('recover --forget') as string,
    };
    const recovery = recoverWorkspace({ workspace: oldPath, environment });
    await expect(recovery).rejects.toMatchObject(missing);
    {
      await using workspace = await openWorkspace({ workspace: oldPath, environment });
      await expect(workspace.snapshot()).rejects.toMatchObject(missing);
      await workspace.extract('@', ['.'], join(base, 'taken-out'));
    }
    expect(readFileSync(join(base, 'taken-out/src/a'), 'utf8')).toBe('first\n');
    await forgetWorkspace({ workspace: oldPath, environment, snapshots: 'keep' });
    await initWorkspace({ path: oldPath, environment, backend });
    expect(readFileSync(join(oldPath, 'src/a'), 'utf8')).toBe('second\n');
    await using anew = await openWorkspace({ workspace: oldPath, environment });
    expect(anew.list()).toHaveLength(1);
  });

  test('a copy is not the workspace, and neither is what is still in its place', async () => {
    cpSync(oldPath, newPath, { recursive: true });
    const asked = recoverWorkspace({ workspace: newPath, environment });
    await expect(asked).rejects.toMatchObject({ code: 'WORKSPACE_NOT_FOUND' });
    rmSync(oldPath, { recursive: true });
    const again = recoverWorkspace({ workspace: newPath, environment });
    await expect(again).rejects.toMatchObject({ code: 'WORKSPACE_NOT_FOUND' });
    expect(registered()).toEqual([oldPath]);
  });

  test('the path of a moved workspace can hold another one afterwards', async () => {
    renameSync(oldPath, newPath);
    mkdirSync(oldPath);
    const init = (path: string): Promise<unknown> => initWorkspace({ path, environment, backend });
    await expect(init(oldPath)).rejects.toMatchObject({
      code: 'WORKSPACE_REPLACED',
      hint: expect.stringContaining('ghostsnap recover') as string,
    });
    await expect(init(newPath)).rejects.toMatchObject({ code: 'WORKSPACE_EXISTS' });
    await recoverWorkspace({ workspace: newPath, environment });
    await init(oldPath);
    expect(registered().sort()).toEqual([newPath, oldPath].sort());
    await goesBack(newPath);
  });

  test('two workspaces that changed places are each found again', async () => {
    const other = join(base, 'other');
    mkdirSync(other);
    await initWorkspace({ path: other, environment, backend });
    renameSync(oldPath, newPath);
    renameSync(other, oldPath);
    const early = recoverWorkspace({ workspace: oldPath, environment });
    await expect(early).rejects.toMatchObject({ code: 'WORKSPACE_EXISTS' });
    await recoverWorkspace({ workspace: newPath, environment });
    const report = await recoverWorkspace({ workspace: oldPath, environment });
    expect(report.rebound).toEqual({ from: other, to: oldPath });
    await goesBack(newPath);
  });

  test('destroy refuses a workspace whose directory is gone: its snapshots are all there is', async () => {
    rmSync(oldPath, { recursive: true });
    await using workspace = await openWorkspace({ workspace: oldPath, environment });
    await expect(workspace.destroy()).rejects.toMatchObject({ code: 'WORKSPACE_GONE' });
    expect(workspace.list()).toHaveLength(1);
    await workspace.rollback('@');
    expect(readFileSync(join(oldPath, 'src/a'), 'utf8')).toBe('first\n');
  });

  test('a workspace that is there cannot be forgotten', async () => {
    const forget = (snapshots: 'keep' | 'delete'): Promise<unknown> =>
      forgetWorkspace({ workspace: oldPath, environment, snapshots });
    await expect(forget('keep')).rejects.toMatchObject({ code: 'WORKSPACE_EXISTS' });
    await expect(forget('delete')).rejects.toMatchObject({ code: 'WORKSPACE_EXISTS' });
    expect(registered()).toEqual([oldPath]);
  });

  test('a forgotten workspace keeps its snapshots and comes back, also where it was moved', async () => {
    renameSync(oldPath, newPath);
    const report = await forgetWorkspace({ workspace: oldPath, environment, snapshots: 'keep' });
    expect(existsSync(report.keptAt ?? '')).toBe(true);
    expect(registered()).toEqual([]);
    const found = await recoverWorkspace({ workspace: newPath, environment });
    expect(found.rebound?.to).toBe(newPath);
    rmSync(newPath, { recursive: true });
    await forgetWorkspace({ workspace: newPath, environment, snapshots: 'keep' });
    const back = await recoverWorkspace({ workspace: newPath, environment });
    expect(back).toMatchObject({ rebound: null, isThere: false });
    await using workspace = await openWorkspace({ workspace: newPath, environment });
    await workspace.rollback('@');
    expect(readFileSync(join(newPath, 'src/a'), 'utf8')).toBe('first\n');
  });

  test('abandoning killed at every step is finished, and touches nothing at the path', async () => {
    const labels = new Set<string>();
    for (let nth = 1, killed: string | null = ''; killed !== null && nth < RUNS_MAX; nth += 1) {
      if (nth > 1) await make();
      rmSync(oldPath, { recursive: true });
      // Every other time something else stands there.
      if (nth % 2 === 0) {
        mkdirSync(oldPath);
        writeFileSync(join(oldPath, 'mine'), 'mine');
      }
      killed = runKilledAt(nth, 'abandon', oldPath);
      if (killed !== null) {
        labels.add(killed);
        await forgetWorkspace({ workspace: oldPath, environment, snapshots: 'delete' });
      }
      expect(registered(), `killed at ${killed}`).toEqual([]);
      if (nth % 2 === 0) expect(readFileSync(join(oldPath, 'mine'), 'utf8')).toBe('mine');
      rmSync(oldPath, { recursive: true, force: true });
    }
    expect([...labels]).toEqual(expect.arrayContaining([...ABANDON_STEPS]));
  });
});
