/**
 * Going back on a real btrfs: by swap, in place, from a directory that is gone; what is refused, and what
 * is never deleted.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SnapshotId } from '../../src/core/ids.ts';
import { assertRsyncSame } from '../checker/tree-digest.ts';
import {
  type BtrfsStage,
  fillRichly,
  makeStage,
  newSnapshotId,
  PLAIN_UID,
} from './btrfs-workspace.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';
import { runBtrfsChild } from './run-btrfs-child.ts';

let image: LoopImage;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 500 });
});
afterAll(async () => {
  await image.dispose();
});

async function initStage(): Promise<BtrfsStage & { first: SnapshotId }> {
  const stage = makeStage({ on: image.mountPath, fill: fillRichly });
  await stage.backend.initWorkspace(stage.ref, {});
  const first = newSnapshotId();
  await stage.backend.createSnapshot(stage.ref, first);
  return { ...stage, first };
}

function wreck(path: string): void {
  execFileSync('bash', ['-euc', 'rm -rf src; chmod 0 big; truncate -s 5 sparse; mkdir new'], {
    cwd: path,
  });
}

/** A process that holds the tree in some way, and says when it does. */
async function startHolder(script: string, path: string): Promise<ChildProcess> {
  const child = spawn('python3', ['-c', `${script}\nprint('ready', flush=True)\ninput()`, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

async function endHolder(child: ChildProcess): Promise<void> {
  child.stdin?.end('\n');
  await once(child, 'exit');
}

/** Python's own mmap keeps a descriptor; libc's does not. */
function mapping(file: string): string {
  return `import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
f = os.open(sys.argv[1] + ${file}, os.O_RDONLY)
assert libc.mmap(None, 4096, 1, 2, f, 0) != 2 ** 64 - 1
os.close(f)`;
}

const HOLDS = [
  ['its working directory', 'import os, sys; os.chdir(sys.argv[1] + "/empty")'],
  ['an open file', 'import sys; f = open(sys.argv[1] + "/big", "rb")'],
  ['a deleted open file', 'import os, sys; p = sys.argv[1] + "/d"; f = open(p, "w"); os.unlink(p)'],
  ['an open directory', 'import os, sys; f = os.open(sys.argv[1], os.O_RDONLY)'],
  ['a mapped file', mapping('"/big"')],
] as const;

describe('checkSwap()', () => {
  test.each(HOLDS)('refuses while a process has %s in the tree', async (_, script) => {
    await using stage = await initStage();
    const { backend, ref, first } = stage;
    expect(backend.checkSwap(ref).allowed).toBe(true);
    const holder = await startHolder(script, ref.path);
    try {
      const check = backend.checkSwap(ref);
      expect(check).toMatchObject({ allowed: false });
      expect(check.reason).toContain(`process ${holder.pid} (python3)`);
      const token = backend.prepareSwap(ref, first, 'refused');
      await expect(backend.swapIn(ref, first, token)).rejects.toMatchObject({
        code: 'UNSUPPORTED_MODE',
      });
      expect(await backend.finishSwap(ref, first, token)).toBe('undone');
    } finally {
      await endHolder(holder);
    }
    expect(backend.checkSwap(ref).allowed).toBe(true);
    assertRsyncSame(stage.original, ref.path, ['--exclude=/d', '--omit-dir-times']);
  });

  test('refuses while a subvolume lies inside, or a mount, or the tree is mounted elsewhere', async () => {
    await using stage = await initStage();
    const { backend, ref } = stage;
    const inner = join(ref.path, 'inner');
    execFileSync('btrfs', ['-q', 'subvolume', 'create', inner]);
    expect(backend.checkSwap(ref)).toMatchObject({
      allowed: false,
      reason: expect.stringMatching(/nested subvolume/),
    });
    execFileSync('btrfs', ['-q', 'subvolume', 'delete', inner]);
    mkdirSync(inner);
    const outside = mkdtempSync(join(image.directory, 'mnt-'));
    for (const [source, target] of [
      [stage.original, inner],
      [ref.path, outside],
      [join(ref.path, 'src'), outside],
      [ref.path, ref.path],
    ] as const) {
      execFileSync('mount', ['--bind', source, target]);
      try {
        expect(backend.checkSwap(ref)).toMatchObject({
          allowed: false,
          reason: expect.stringMatching(/mount/),
        });
      } finally {
        execFileSync('umount', [target]);
      }
    }
    expect(backend.checkSwap(ref).allowed).toBe(true);
  });
});

describe('swapIn()', () => {
  test('gives the tree back, keeps the old one while it is held, and removes it afterwards', async () => {
    await using stage = await initStage();
    const { backend, ref, first } = stage;
    wreck(ref.path);
    const before = newSnapshotId();
    await backend.createSnapshot(ref, before);
    await backend.swapIn(ref, first, backend.prepareSwap(ref, first, before));
    assertRsyncSame(stage.original, ref.path);
    const aside = join(stage.ghosts, `replaced_${before}`);
    assertRsyncSame(join(stage.ghosts, before), aside);
    const holder = await startHolder(HOLDS[0][1], aside);
    try {
      expect(await backend.removeReplaced(ref)).toBe(0);
      expect(existsSync(aside)).toBe(true);
    } finally {
      await endHolder(holder);
    }
    expect(await backend.removeReplaced(ref)).toBe(1);
    expect(existsSync(aside)).toBe(false);
    await backend.createSnapshot(ref, newSnapshotId());
  });

  test('an old tree that was cut off from its name is kept while it is held', async () => {
    await using stage = await initStage();
    const { backend, ref, first } = stage;
    const token = backend.prepareSwap(ref, first, 'cut');
    const calls = [{ method: 'swapIn', args: [first, token, {}] }];
    expect(runBtrfsChild({ ref, calls, killAt: 'swap:exchanged' }).killed).toBe(true);
    const holder = await startHolder(HOLDS[0][1], join(stage.ghosts, 'clone_cut'));
    try {
      await backend.recoverWorkspace(ref);
      assertRsyncSame(stage.original, join(stage.ghosts, 'replaced_cut'));
    } finally {
      await endHolder(holder);
    }
    expect(await backend.finishSwap(ref, first, token)).toBe('done');
    expect(await backend.removeReplaced(ref)).toBe(1);
  });

  test('an exchange that was cut off is finished without a recovery, and its old tree kept', async () => {
    await using stage = await initStage();
    const { backend, ref, first } = stage;
    const token = backend.prepareSwap(ref, first, 'cut');
    const calls = [{ method: 'swapIn', args: [first, token, {}] }];
    expect(runBtrfsChild({ ref, calls, killAt: 'swap:exchanged' }).killed).toBe(true);
    expect(await backend.finishSwap(ref, first, token)).toBe('done');
    const aside = join(stage.ghosts, 'replaced_cut');
    expect(existsSync(aside)).toBe(true);
    const holder = await startHolder(HOLDS[0][1], aside);
    try {
      await backend.recoverWorkspace(ref);
      assertRsyncSame(stage.original, aside);
    } finally {
      await endHolder(holder);
    }
  });

  test('refuses when another swap has taken the place since it was prepared', async () => {
    await using stage = await initStage();
    const { backend, ref, first } = stage;
    const late = backend.prepareSwap(ref, first, 'late');
    await backend.swapIn(ref, first, backend.prepareSwap(ref, first, 'early'));
    writeFileSync(join(ref.path, 'since'), 'mine');
    await expect(backend.swapIn(ref, first, late)).rejects.toMatchObject({
      code: 'WORKSPACE_REPLACED',
    });
    expect(readFileSync(join(ref.path, 'since'), 'utf8')).toBe('mine');
  });

  test('refuses when another directory has taken the place since it was prepared', async () => {
    await using stage = await initStage();
    const { backend, ref, first } = stage;
    const token = backend.prepareSwap(ref, first, 'op');
    renameSync(ref.path, `${ref.path}-moved`);
    mkdirSync(ref.path);
    await expect(backend.swapIn(ref, first, token)).rejects.toMatchObject({
      code: 'WORKSPACE_REPLACED',
    });
    await expect(backend.finishSwap(ref, first, token)).rejects.toMatchObject({
      code: 'WORKSPACE_REPLACED',
    });
    assertRsyncSame(stage.original, `${ref.path}-moved`);
  });
});

describe('applyInPlace()', () => {
  test.each([
    ['root', 'send'],
    ['root', 'lockstep'],
  ] as const)('as %s, by %s, gives the tree back', async (_, how) => {
    await using stage = await initStage();
    const { backend, ref, first } = stage;
    wreck(ref.path);
    const before = newSnapshotId();
    await backend.createSnapshot(ref, before);
    const kept = statSync(join(ref.path, 'empty')).ino;
    await backend.applyInPlace(ref, first, how === 'send' ? { since: before } : {});
    assertRsyncSame(stage.original, ref.path);
    expect(statSync(join(ref.path, 'empty')).ino).toBe(kept);
    await backend.applyInPlace(ref, before, how === 'send' ? { since: first } : {});
    assertRsyncSame(join(stage.ghosts, before), ref.path);
  });

  test('as a plain user gives the tree back', async () => {
    await using stage = makeStage({ on: image.mountPath, fill: fillRichly, uid: PLAIN_UID });
    const [first, before] = [newSnapshotId(), newSnapshotId()];
    const run = (calls: readonly { method: string; args?: readonly unknown[] }[]): unknown => {
      const outcome = runBtrfsChild({ ref: stage.ref, calls }, PLAIN_UID);
      expect(outcome.error).toBeNull();
      return outcome.results;
    };
    run([{ method: 'initWorkspace' }, { method: 'createSnapshot', args: [first] }]);
    execFileSync('setpriv', [
      ...[`--reuid=${PLAIN_UID}`, `--regid=${PLAIN_UID}`, '--clear-groups'],
      ...['bash', '-euc', 'cd "$0"; rm -rf src; chmod 0 big; rm sparse; mkdir new', stage.ref.path],
    ]);
    run([
      { method: 'createSnapshot', args: [before] },
      { method: 'applyInPlace', args: [first, { since: before }] },
    ]);
    assertRsyncSame(stage.original, stage.ref.path);
    const token = (run([{ method: 'prepareSwap', args: [before, 'op'] }]) as readonly unknown[])[0];
    run([{ method: 'swapIn', args: [before, token, {}] }, { method: 'removeReplaced' }]);
    assertRsyncSame(join(stage.ghosts, before), stage.ref.path);
  });

  test('brings back a workspace whose own directory was deleted', async () => {
    await using stage = await initStage();
    const { backend, ref, first } = stage;
    const { token } = backend.identify(ref);
    rmSync(ref.path, { recursive: true });
    expect(() => backend.identify(ref)).toThrow(/no directory any more/);
    await backend.applyInPlace(ref, first);
    assertRsyncSame(stage.original, ref.path);
    expect(backend.identify(ref)).toEqual({ token });
    await backend.createSnapshot(ref, newSnapshotId());
  });

  test('never turns a directory that is not the workspace', async () => {
    await using stage = await initStage();
    const { backend, ref, first } = stage;
    renameSync(ref.path, `${ref.path}-moved`);
    mkdirSync(ref.path);
    writeFileSync(join(ref.path, 'precious'), 'mine');
    await expect(backend.applyInPlace(ref, first)).rejects.toMatchObject({
      code: 'WORKSPACE_REPLACED',
    });
    rmSync(ref.path, { recursive: true });
    symlinkSync(`${ref.path}-moved/src`, ref.path);
    await expect(backend.applyInPlace(ref, first)).rejects.toMatchObject({
      code: 'WORKSPACE_REPLACED',
    });
    assertRsyncSame(stage.original, `${ref.path}-moved`);
  });

  test('never deletes a nested subvolume or a mount; both are listed as not covered', async () => {
    await using stage = await initStage();
    const { backend, ref, first } = stage;
    const nested = join(ref.path, 'made/later/nested');
    const mounted = join(ref.path, 'made/mounted');
    mkdirSync(join(ref.path, 'made/later'), { recursive: true });
    mkdirSync(mounted);
    execFileSync('btrfs', ['-q', 'subvolume', 'create', nested]);
    writeFileSync(join(nested, 'precious'), 'mine');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', mounted]);
    try {
      writeFileSync(join(mounted, 'precious'), 'mine');
      expect(await backend.listUncovered(ref)).toEqual(
        expect.arrayContaining([
          { path: 'made/later/nested', reason: 'subvolume' },
          { path: 'made/mounted', reason: 'mount' },
        ]),
      );
      const before = newSnapshotId();
      await backend.createSnapshot(ref, before);
      for (const options of [{}, { since: before }]) {
        const { notes } = await backend.applyInPlace(ref, first, options);
        expect(notes.length).toBeGreaterThan(0);
        expect(readFileSync(join(nested, 'precious'), 'utf8')).toBe('mine');
        expect(readFileSync(join(mounted, 'precious'), 'utf8')).toBe('mine');
      }
      await expect(backend.releaseWorkspace(ref, {})).rejects.toMatchObject({
        code: 'WORKSPACE_NESTED',
      });
      expect(readFileSync(join(nested, 'precious'), 'utf8')).toBe('mine');
    } finally {
      execFileSync('umount', [mounted]);
    }
    execFileSync('btrfs', ['-q', 'subvolume', 'delete', nested]);
  });
});

describe('compare()', () => {
  test('with hints from send finds what the lockstep comparison finds', async () => {
    await using stage = makeStage({ on: image.mountPath, fill: fillRichly });
    const { backend, ref } = stage;
    await backend.initWorkspace(ref, {});
    const [first, second] = [newSnapshotId(), newSnapshotId()];
    await backend.createSnapshot(ref, first);
    wreck(ref.path);
    appendFileSync(join(ref.path, 'linked'), 'more');
    await backend.createSnapshot(ref, second);
    execFileSync('chown', ['-R', '-h', `${PLAIN_UID}`, ref.path]);
    execFileSync('chown', [`${PLAIN_UID}`, stage.base]);
    for (const [from, to] of [
      [first, second],
      [second, first],
      ['live', first],
      [second, 'live'],
    ] as const) {
      const calls = [{ method: 'compare', args: [from, to] }];
      const hinted = runBtrfsChild({ ref, calls }).results[0];
      const inNamespace = withoutSend({ ref, calls });
      expect(hinted).toEqual(inNamespace);
      expect(hinted).not.toEqual([]);
    }
    expect(backend.listSnapshots(ref)).toHaveLength(2);
  });
});

/** As root without CAP_SYS_ADMIN: everything readable, send refused. */
function withoutSend(request: unknown): unknown {
  const script = join(import.meta.dirname, 'btrfs-child.ts');
  const node = [process.execPath, script, JSON.stringify(request)];
  const printed = execFileSync(
    'setpriv',
    ['--bounding-set=-sys_admin', '--inh-caps=-sys_admin', ...node],
    { encoding: 'utf8' },
  );
  return JSON.parse(printed).results[0];
}
