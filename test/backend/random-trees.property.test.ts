/**
 * Random trees, turned into each other, on the filesystem of the test: equal for rsync and Python.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { applyTree } from '../../src/backend/tree-apply.ts';
import { compareTrees } from '../../src/backend/tree-compare.ts';
import { assertRsyncSame, assertSameTree, rsyncDifferences } from '../checker/tree-digest.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import { python } from './rich-tree.ts';

/** Few names, so that the two trees collide in every way. */
const name = fc.constantFrom('a', 'b', 'c', 'é', ' ', 'a.b');
const path = fc.array(name, { minLength: 1, maxLength: 3 });
const step = fc.oneof(
  fc.record({
    do: fc.constant('file'),
    path,
    size: fc.nat(3),
    mode: fc.constantFrom(0o644, 0o4711, 0o600),
  }),
  fc.record({ do: fc.constant('dir'), path, mode: fc.constantFrom(0o755, 0o700, 0o1777) }),
  fc.record({ do: fc.constant('symlink'), path, target: name }),
  fc.record({ do: fc.constant('link'), path, to: path }),
  fc.record({ do: fc.constant('fifo'), path }),
  fc.record({ do: fc.constant('xattr'), path, value: fc.nat(2) }),
  fc.record({ do: fc.constant('owner'), path, id: fc.nat(2) }),
  fc.record({ do: fc.constant('time'), path, ns: fc.nat(3) }),
);

/** Steps that do not fit the tree as it is are passed over. */
const BUILD = `
import json
for s in json.loads(sys.stdin.read()):
    at = p(*[n.encode() for n in s['path']])
    try:
        if s['do'] == 'file':
            os.makedirs(os.path.dirname(at), exist_ok=True)
            write(at, b'%d' % s['size'] * [0, 1, 5000, 70000][s['size']], s['mode'])
        elif s['do'] == 'dir': os.makedirs(at, s['mode']); os.chmod(at, s['mode'])
        elif s['do'] == 'symlink': os.symlink(s['target'].encode(), at)
        elif s['do'] == 'link':
            os.link(p(*[n.encode() for n in s['to']]), at, follow_symlinks=False)
        elif s['do'] == 'fifo': os.mkfifo(at)
        elif s['do'] == 'xattr':
            os.setxattr(at, b'user.k', b'%d' % s['value'], follow_symlinks=False)
        elif s['do'] == 'owner': os.lchown(at, s['id'], s['id'])
        elif s['do'] == 'time': os.utime(at, ns=(0, s['ns'] * 1000000007), follow_symlinks=False)
    except OSError: pass
for d, ds, fs in os.walk(root, topdown=False):
    for n in ds + fs:
        at = os.path.join(d, n)
        if os.lstat(at).st_mtime > 1000: os.utime(at, ns=(0, 4242424242), follow_symlinks=False)
os.utime(root, ns=(0, 4242424242))
`;

function build(root: string, steps: readonly unknown[]): void {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
  const script = `sys.stdin = __import__('io').StringIO(${JSON.stringify(JSON.stringify(steps))})\n`;
  python(script + BUILD, root);
}

test('applyTree() turns any tree into any other, and compareTrees() is empty exactly then', async () => {
  await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
  const [source, live] = ['s', 'l'].map((n) => join(image.mountPath, n)) as [string, string];
  const evidence = { sameContent: () => 'unknown' as const };
  const isDifferent = async (): Promise<boolean> => {
    using from = openDirectoryTree(live, 'live');
    using to = openDirectoryTree(source, 'live');
    for await (const _ of compareTrees({ from, to, ...evidence })) return true;
    return false;
  };
  const trees = fc.array(step, { maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(trees, trees, async (wanted, present) => {
      build(source, wanted);
      build(live, present);
      expect(await isDifferent()).toBe(rsyncDifferences(source, live).length > 0);
      using tree = openDirectoryTree(source, 'live');
      const { notes } = await applyTree({ livePath: live, source: tree, ...evidence });
      expect(notes).toEqual([]);
      assertRsyncSame(source, live);
      assertSameTree(source, live);
      expect(await isDifferent()).toBe(false);
    }),
    { numRuns: 40 },
  );
});
