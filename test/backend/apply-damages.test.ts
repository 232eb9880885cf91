/** One kind of damage at a time, on every filesystem that ghostsnap is meant for. */
import {
  appendFileSync,
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { assertRsyncSame, assertSameTree } from '../checker/tree-digest.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';
import { turn } from './run-apply.ts';
import { copyAside, makeSampleTree, run } from './sample-tree.ts';

type Damage = (at: (path: string) => string) => unknown;

const DAMAGES: Readonly<Record<string, Damage>> = {
  nothing: () => undefined,
  'everything removed': (at) => run('find', at('.'), '-mindepth', '1', '-delete'),
  'files truncated': (at) => {
    for (const name of ['src/main.c', 'src/big', '.env', 'sparse']) truncateSync(at(name), 0);
  },
  'one byte overwritten, the time put back': (at) => {
    run('cp', '-p', at('src/deep/er/one'), at('zero'));
    writeFileSync(at('src/deep/er/one'), 'One\n');
    run('touch', '-r', at('zero'), at('src/deep/er/one'));
  },
  'modes changed everywhere': (at) => run('chmod', '-R', 'a+rwX,u-s,g-s,-t', at('.')),
  'owners changed everywhere': (at) => run('chown', '-hR', '99:98', at('.')),
  'a file in the place of a directory': (at) => {
    rmSync(at('src'), { recursive: true });
    writeFileSync(at('src'), 'now a file');
  },
  'a directory in the place of a file': (at) => {
    rmSync(at('.env'));
    mkdirSync(at('.env/with/more'), { recursive: true });
    writeFileSync(at('.env/with/more/below'), 'x');
  },
  'symlinks and files exchanged': (at) => {
    renameSync(at('to-file'), at('swap'));
    renameSync(at('zero'), at('to-file'));
    renameSync(at('swap'), at('zero'));
  },
  'a symlink retargeted': (at) => {
    unlinkSync(at('dangling'));
    symlinkSync('somewhere/else', at('dangling'));
  },
  'hard links parted': (at) => {
    run('cp', '--remove-destination', '-p', at('group-1'), at('group-2'));
    run('cp', '--remove-destination', '-p', at('pair-2'), at('pair-1'));
  },
  'hard links joined that were apart': (at) => {
    unlinkSync(at('zero'));
    linkSync(at('.env'), at('zero'));
    unlinkSync(at('pair-1'));
    linkSync(at('group-1'), at('pair-1'));
  },
  'hard links with another content': (at) => {
    appendFileSync(at('group-2'), ', and more');
    unlinkSync(at('pair-1'));
    writeFileSync(at('pair-1'), 'alone');
  },
  'a sparse file overwritten': (at) => run('cp', '--sparse=never', at('src/big'), at('sparse')),
  'attributes changed': (at) => {
    run('setfattr', '-n', 'user.tag', '-v', 'other', at('tagged'));
    run('setfattr', '-x', 'user.empty', at('tagged'));
    run('setfattr', '-n', 'user.extra', '-v', '1', at('zero'));
    run('setfattr', '-x', 'user.dir', at('empty'));
  },
  'ACLs removed and added': (at) => {
    run('setfacl', '-b', at('acl'));
    run('setfacl', '-k', at('acl-dir'));
    run('setfacl', '-m', 'u:77:rwx', at('.env'));
    run('setfacl', '-m', 'u:77:rwx', at('src'));
    run('setfacl', '-d', '-m', 'u:77:rwx', at('src'));
  },
  'files made again below a default ACL and a setgid directory': (at) => {
    run('setfacl', '-d', '-m', 'u:77:rwx', at('src'));
    chmodSync(at('src'), 0o2777);
    for (const name of ['src/main.c', 'src/group-3', 'acl-dir/child', 'setgid-dir/other-group']) {
      unlinkSync(at(name));
    }
    rmSync(at('src/deep'), { recursive: true });
  },
  'capabilities and setuid gone': (at) => run('chown', '5:5', at('setuid'), at('owned')),
  'times changed': (at) => run('find', at('.'), '-exec', 'touch', '-h', '-d', '@77.5', '{}', '+'),
  'a FIFO and a device replaced': (at) => {
    unlinkSync(at('fifo'));
    writeFileSync(at('fifo'), 'no pipe');
    unlinkSync(at('device'));
    run('mknod', at('device'), 'c', '1', '5');
  },
  'hostile names removed': (at) => rmSync(at('names'), { recursive: true }),
  'much added': (at) => {
    makeSampleTree(at('another'));
    for (let i = 0; i < 300; i += 1) writeFileSync(at(`src/deep/added-${i}`), `${i}`);
    writeFileSync(at('-r'), 'an option?');
  },
};

describe.each(['btrfs', 'xfs', 'ext4'] as const)('applyTree() on %s', (fs) => {
  let image: LoopImage;
  let source: string;
  let live: string;
  const at = (path: string): string => join(live, path);

  beforeAll(async () => {
    image = await makeLoopImage({ fs, sizeMiB: fs === 'xfs' ? 400 : 256 });
    source = join(image.mountPath, 'source');
    live = join(image.mountPath, 'live');
    makeSampleTree(source);
  });
  beforeEach(() => {
    rmSync(live, { recursive: true, force: true });
    copyAside(source, live);
  });
  afterAll(() => image?.dispose());

  test.each(Object.entries(DAMAGES))('gives the same tree back after: %s', async (_, damage) => {
    damage(at);
    const { notes } = await turn(live, source);
    assertSameTree(source, live, { holes: 'compare' });
    assertRsyncSame(source, live);
    expect(notes).toEqual([]);
    expect((await turn(live, source)).changes, 'changes of a second run').toBe(0);
  });

  test('shows the old or the new file under a name, never a part', async () => {
    writeFileSync(at('src/big'), 'old');
    const sizes = new Set<number>();
    await turn(live, source, { onStep: () => sizes.add(lstatSync(at('src/big')).size) });
    expect([...sizes]).toEqual([3, 300_000]);
  });
});
