/** Turning trees in processes that are killed, and as a user who may not do everything. */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { copyTree } from '../../src/backend/copy-tree.ts';
import { assertRsyncSame, assertSameTree } from '../checker/tree-digest.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import { python } from './rich-tree.ts';

const NOBODY = 65_534;

interface Outcome {
  readonly killed: boolean;
  readonly steps: number;
  readonly code?: string;
  readonly notes?: readonly { readonly path: string; readonly what: string }[];
}

function turnInChild(paths: { live: string; source: string }, dieAt = 0, uid = 0): Outcome {
  const script = join(import.meta.dirname, 'apply-child.ts');
  const args = [script, paths.live, paths.source, `${dieAt}`, `${uid}`];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (child.signal === 'SIGKILL') return { killed: true, steps: dieAt };
  if (child.status !== 0) throw new Error(`The child failed: ${child.stderr}`);
  return { killed: false, ...JSON.parse(child.stdout) };
}

const SMALL_TREE = `
os.makedirs(p(b'd', b'e')); write(p(b'd', b'e', b'f'), b'1', 0o4755); write(p(b'd', b'g'), b'2')
write(p(b'a'), b'linked')
os.link(p(b'a'), p(b'd', b'b'))
os.symlink(b'a', p(b's'))
os.mkfifo(p(b'p'))
os.setxattr(p(b'd'), b'user.k', b'v')
os.chmod(p(b'd', b'e'), 0o555)
os.utime(p(b'd'), ns=(0, 12345))
os.utime(root, ns=(0, 99))
`;
const DAMAGE = `
import shutil
shutil.rmtree(p(b'd', b'e')); write(p(b'd', b'e'), b'file'); write(p(b'd', b'g'), b'3')
os.unlink(p(b'd', b'b')); write(p(b'a'), b'change'); os.unlink(p(b's')); os.makedirs(p(b's', b't'))
write(p(b's', b't', b'u'), b'u'); os.unlink(p(b'p')); os.removexattr(p(b'd'), b'user.k')
`;

test('applyTree() killed at any step leaves a tree that a second run finishes', async () => {
  await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
  const source = join(image.mountPath, 'source');
  mkdirSync(source);
  python(SMALL_TREE, source);
  const fresh = async (n: number): Promise<string> => {
    const live = join(image.mountPath, `live${n}`);
    mkdirSync(live);
    await copyTree({ fromPath: source, toPath: live });
    python(DAMAGE, live);
    return live;
  };
  const { steps } = turnInChild({ live: await fresh(0), source });
  expect(steps).toBeGreaterThan(20);
  for (let dieAt = 1; dieAt <= steps; dieAt += 1) {
    const live = await fresh(dieAt);
    expect(turnInChild({ live, source }, dieAt).killed).toBe(true);
    expect((await copyTree({ fromPath: source, toPath: live })).notes).toEqual([]);
    assertSameTree(source, live);
  }
  assertRsyncSame(source, join(image.mountPath, 'live1'));
});

test('applyTree() as a plain user works through directories that are closed to their owner', async () => {
  await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
  const [source, live] = ['source', 'live'].map((name) => join(image.mountPath, name)) as [
    string,
    string,
  ];
  for (const root of [source, live]) {
    mkdirSync(root);
    python(SMALL_TREE, root);
    python(`os.setxattr(p(b'd', b'g'), b'user.x', b'1'); os.chmod(p(b'd', b'g'), 0o444)`, root);
    spawnSync('chown', ['-hR', `${NOBODY}:${NOBODY}`, root]);
    python(
      `os.chmod(p(b'd', b'e', b'f'), 0o4755); os.utime(p(b'd'), ns=(0, 12345)); os.utime(root, ns=(0, 99))`,
      root,
    );
  }
  python(
    `
os.removexattr(p(b'd', b'g'), b'user.x')
os.unlink(p(b'd', b'e', b'f'))
os.mkdir(p(b'x'))
write(p(b'x', b'y'), b'')
os.chown(p(b'x'), ${NOBODY}, ${NOBODY}); os.chown(p(b'x', b'y'), ${NOBODY}, ${NOBODY})
os.chmod(p(b'x'), 0); os.chmod(p(b'd', b'e'), 0); os.chmod(p(b'd'), 0); os.chmod(p(b'a'), 0)`,
    live,
  );
  const outcome = turnInChild({ live, source }, 0, NOBODY);
  expect(outcome).toMatchObject({ killed: false, notes: [] });
  python(
    `[os.utime(os.path.join(os.fsencode(d), b'd', b'e'), ns=(0, 5)) for d in ('${source}', '${live}')]`,
    source,
  );
  python(
    `[os.utime(os.path.join(os.fsencode(d), b'd', b'e', b'f'), ns=(0, 5)) for d in ('${source}', '${live}')]`,
    source,
  );
  assertSameTree(source, live, { mtimes: 'not-root' });
});

test('applyTree() as a plain user notes the owners it may not give, and gives back the rest', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 64 });
  const [source, live] = ['source', 'live'].map((name) => join(image.mountPath, name)) as [
    string,
    string,
  ];
  for (const root of [source, live]) {
    mkdirSync(root);
    chownSync(root, NOBODY, NOBODY);
  }
  python(
    `write(p(b'theirs'), b'content'); os.mknod(p(b'null'), stat.S_IFCHR | 0o666, os.makedev(1, 3))`,
    source,
  );
  const { notes = [] } = turnInChild({ live, source }, 0, NOBODY);
  expect(notes.map(({ path }) => path).sort()).toEqual(['null', 'theirs']);
  assertSameTree(source, live, { owners: 'ignore', mtimes: 'not-root', skip: ['null'] });
  expect(statSync(join(live, 'theirs')).uid).toBe(NOBODY);
});

test('applyTree() names what it could not read, after everything else is given back', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 64 });
  const [source, live] = ['source', 'live'].map((name) => join(image.mountPath, name)) as [
    string,
    string,
  ];
  for (const root of [source, live]) {
    mkdirSync(root);
    chownSync(root, NOBODY, NOBODY);
  }
  python(`write(p(b'a'), b'secret of root', 0o600); write(p(b'b'), b'free')`, source);
  chmodSync(source, 0o755);
  const outcome = turnInChild({ live, source }, 0, NOBODY);
  expect(outcome).toMatchObject({ code: 'RESTORE_FAILED', data: { paths: ['a'] } });
  expect(statSync(join(live, 'b')).size).toBe(4);
});
