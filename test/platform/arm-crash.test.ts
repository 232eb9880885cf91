/**
 * kill -9 at every labelled step of arming and adopting, a lost name, a lost catalog: what was acknowledged
 * is a snapshot afterwards, what nobody adopted is none, and the next snapshot goes on.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ADOPT_STEPS, ARM_STEPS } from '../../src/engine/arm-snapshot.ts';
import type { Workspace } from '../../src/index.ts';
import { type Protected, protect } from '../never/protected-workspace.ts';

const CHILD = join(import.meta.dirname, 'arm-crash-child.ts');
const CONTENT = 'written by the tool call';

function armUntilKilled(place: Protected, killAt: string): { stdout: string; killed: boolean } {
  const { path, environment } = place;
  const argument = JSON.stringify({ path, killAt, environment });
  const done = spawnSync(process.execPath, [CHILD, argument], { encoding: 'utf8' });
  if (done.signal === null) expect(done.stderr).toBe('');
  return { stdout: done.stdout, killed: done.signal === 'SIGKILL' };
}

function ghostsOf(workspace: Workspace): string {
  const { poolRoot, workspace: id } = workspace.info;
  return join(poolRoot, '.ghostsnap', id);
}

function onDisk(workspace: Workspace, prefix: string): string[] {
  return readdirSync(ghostsOf(workspace))
    .filter((name) => name.startsWith(prefix))
    .sort();
}

function listed(workspace: Workspace): string[] {
  return workspace
    .list()
    .map(({ id }) => id as string)
    .sort();
}

async function placeWithWork(): Promise<Protected> {
  const place = await protect({ kind: 'btrfs', before: 'echo one > file' });
  writeFileSync(join(place.path, 'file'), CONTENT);
  return place;
}

/** From here on the adoption is on record: the snapshot exists, named or not. */
const RECORDED: readonly string[] = ['adopt:recorded', 'adopt:named'];

describe('arming', () => {
  test('comes to its end when nobody kills it, and is adopted', async () => {
    await using place = await placeWithWork();
    const { stdout } = armUntilKilled(place, 'never');
    const { id } = JSON.parse(stdout);
    expect(JSON.parse(stdout)).toEqual({ armed: true, id, adopted: true });
    await using workspace = await place.open();
    expect(workspace.show(id)).toMatchObject({ label: 'asked for', role: 'ordinary' });
    expect(readFileSync(join(ghostsOf(workspace), id, 'file'), 'utf8')).toBe(CONTENT);
    expect(onDisk(workspace, 'armed_')).toEqual([]);
  });

  test.each([...ARM_STEPS, ...ADOPT_STEPS])('killed at %s', async (killAt) => {
    await using place = await placeWithWork();
    expect(armUntilKilled(place, killAt).killed).toBe(true);
    await using workspace = await place.open();
    const ids = listed(workspace);
    expect(ids).toHaveLength(RECORDED.includes(killAt) ? 2 : 1);
    expect(onDisk(workspace, 'ghost_')).toEqual(ids);
    for (const id of ids.slice(1)) {
      expect(readFileSync(join(ghostsOf(workspace), id, 'file'), 'utf8')).toBe(CONTENT);
    }
    writeFileSync(join(place.path, 'file'), 'later');
    const next = await workspace.snapshot();
    expect(next.adopted).toBe(false);
    expect(listed(workspace)).toEqual([...ids, next.id]);
    // What was overtaken is removed while nobody waits, and closing waits for it.
    await workspace.close();
    expect(onDisk(workspace, 'armed_')).toEqual([]);
  });

  test('gives an adopted snapshot the name that a power loss took', async () => {
    await using place = await placeWithWork();
    const { id } = JSON.parse(armUntilKilled(place, 'never').stdout);
    {
      await using workspace = await place.open();
      const ghosts = ghostsOf(workspace);
      renameSync(join(ghosts, id), join(ghosts, id.replace('ghost_', 'armed_')));
    }
    await using workspace = await place.open();
    expect(listed(workspace)).toContain(id);
    expect(onDisk(workspace, 'ghost_')).toContain(id);
    expect(onDisk(workspace, 'armed_')).toEqual([]);
  });

  test('keeps what is armed when the catalog is lost: somebody may have been told of it', async () => {
    await using place = await placeWithWork();
    armUntilKilled(place, 'adopt:begin');
    const pools = join(place.environment.env.GHOSTSNAP_HOME ?? '', 'pools');
    for (const pool of readdirSync(pools)) {
      for (const end of ['', '-wal', '-shm']) {
        rmSync(join(pools, pool, `catalog.db${end}`), { force: true });
      }
    }
    await using workspace = await place.open();
    expect(listed(workspace)).toHaveLength(2);
    expect(onDisk(workspace, 'ghost_')).toEqual(listed(workspace));
    expect(onDisk(workspace, 'armed_')).toEqual([]);
  });

  test('in vain, and not removed yet when its process died, is removed by the next one', async () => {
    await using place = await placeWithWork();
    const workspace = await place.open();
    await workspace.arm();
    const [name = ''] = onDisk(workspace, 'armed_');
    writeFileSync(join(place.path, 'file'), 'changed');
    await workspace.snapshot();
    await workspace.close();
    // As the crash would have left it: the catalog has dropped it, the disk still has it.
    const left = join(ghostsOf(workspace), name);
    execFileSync('btrfs', ['subvolume', 'snapshot', '-r', place.path, left]);
    const next = await place.open();
    expect(listed(next)).not.toContain(name.replace('armed_', 'ghost_'));
    await next.close();
    expect(onDisk(workspace, 'armed_')).toEqual([]);
  });

  test('is undone by whatever takes, turns or deletes', async () => {
    await using place = await placeWithWork();
    const dropping: readonly ((workspace: Workspace) => Promise<unknown>)[] = [
      (workspace) => workspace.rollback('@', { mode: 'in-place' }),
      (workspace) => workspace.restore('@', ['file']),
      (workspace) => workspace.prune({ specs: ['@'] }),
    ];
    for (const drop of dropping) {
      const workspace = await place.open();
      writeFileSync(join(place.path, 'file'), 'changed');
      expect(await workspace.arm()).toEqual({ armed: true, reason: null });
      expect(onDisk(workspace, 'armed_')).toHaveLength(1);
      await drop(workspace);
      // Removing it is awaited here at the latest.
      await workspace.close();
      expect(onDisk(workspace, 'armed_')).toEqual([]);
    }
    await using workspace = await place.open();
    expect(await workspace.arm()).toEqual({ armed: true, reason: null });
    await workspace.destroy();
  });

  test('in the store says that it does not arm', async () => {
    await using place = await protect({ kind: 'store' });
    await using workspace = await place.open();
    expect(await workspace.arm()).toEqual({
      armed: false,
      reason: 'the store backend does not arm',
    });
    expect((await workspace.snapshot()).adopted).toBe(false);
  });
});
