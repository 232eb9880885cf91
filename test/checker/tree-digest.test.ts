/**
 * The witness itself is tested: each kind of damage that a restore could do must show in the listing
 * and in rsync's eyes. A checker that sees nothing would let every other test pass.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assertSameTree, diffDigests, digestTree, rsyncDifferences } from './tree-digest.ts';

let base = '';
let a = '';
let b = '';

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ghostsnap-checker-'));
  a = join(base, 'a');
  b = join(base, 'b');
  for (const root of [a, b]) build(root);
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

const FIXED = new Date('2024-05-06T07:08:09Z');

function build(root: string): void {
  mkdirSync(join(root, 'empty'), { recursive: true });
  writeFileSync(join(root, 'one'), 'same');
  writeFileSync(join(root, 'two'), 'other');
  linkSync(join(root, 'one'), join(root, 'linked'));
  symlinkSync('one', join(root, 'sym'));
  execFileSync('mkfifo', [join(root, 'pipe')]);
  execFileSync('setfattr', ['-n', 'user.k', '-v', 'v', join(root, 'two')]);
  writeFileSync(Buffer.from(`${root}/\xff\xfe\n`, 'latin1'), 'odd name');
  fixTimes(root);
}

/** Gives every entry the same mtime, the root last. */
function fixTimes(root: string): void {
  execFileSync('find', [root, '-exec', 'touch', '-h', '-d', '2024-05-06T07:08:09Z', '{}', '+']);
  lutimesSync(root, FIXED, FIXED);
}

const DAMAGE: readonly (readonly [string, (root: string) => void])[] = [
  ['content of the same size', (root) => writeFileSync(join(root, 'two'), 'oTher')],
  ['a truncation', (root) => truncateSync(join(root, 'two'), 1)],
  ['a mode', (root) => chmodSync(join(root, 'two'), 0o600)],
  ['an mtime', (root) => lutimesSync(join(root, 'two'), FIXED, new Date(5))],
  ['a symlink target', (root) => relink(join(root, 'sym'), 'two')],
  ['a missing empty directory', (root) => rmSync(join(root, 'empty'), { recursive: true })],
  ['an added file', (root) => writeFileSync(join(root, 'new'), '')],
  ['a broken hard link', (root) => unlinkThenCopy(root)],
  ['an xattr', (root) => setAttribute(root, 'w')],
  ['an ACL', (root) => setAcl(root)],
  ['a fifo that became a file', (root) => fifoToFile(root)],
];

function relink(path: string, target: string): void {
  unlinkSync(path);
  symlinkSync(target, path);
}

function unlinkThenCopy(root: string): void {
  const mode = 0o644;
  unlinkSync(join(root, 'linked'));
  copyFileSync(join(root, 'one'), join(root, 'linked'));
  chmodSync(join(root, 'linked'), mode);
}

function setAttribute(root: string, value: string): void {
  execFileSync('setfattr', ['-n', 'user.k', '-v', value, join(root, 'two')]);
}

function setAcl(root: string): void {
  execFileSync('setfacl', ['-m', 'u:1234:r', join(root, 'two')]);
}

function fifoToFile(root: string): void {
  unlinkSync(join(root, 'pipe'));
  writeFileSync(join(root, 'pipe'), '');
}

describe('digestTree()', () => {
  test('gives equal trees equal listings', () => {
    assertSameTree(a, b);
    expect(rsyncDifferences(a, b)).toEqual([]);
    expect(digestTree(a).lines.some((line) => line.startsWith('\\xff\\xfe\\x0a\t'))).toBe(true);
  });

  test.each(DAMAGE)('shows %s', (_, damage) => {
    damage(b);
    // The damage itself is judged, not the time stamps it moved on the way; but for mtime itself.
    if (damage !== DAMAGE[3]?.[1]) fixTimes(b);
    expect(diffDigests(digestTree(a), digestTree(b))).not.toEqual([]);
    expect(() => assertSameTree(a, b)).toThrow(/The trees differ/);
    expect(rsyncDifferences(a, b)).not.toEqual([]);
  });

  test('shows one nanosecond', () => {
    execFileSync('touch', ['-d', '2024-05-06T07:08:09.000000001Z', join(b, 'two')]);
    expect(diffDigests(digestTree(a), digestTree(b))).toHaveLength(2);
    expect(rsyncDifferences(a, b)).toHaveLength(1);
  });

  test('reads a hole as zeros, and shows the hole when asked', () => {
    truncateSync(join(a, 'two'), 1 << 20);
    writeFileSync(join(b, 'two'), readFileSync(join(a, 'two')));
    for (const root of [a, b]) fixTimes(root);
    assertSameTree(a, b);
    expect(() => assertSameTree(a, b, { holes: 'compare' })).toThrow(/The trees differ/);
  });

  test('fails on what it can not read instead of leaving it out', () => {
    expect(() => digestTree(join(base, 'missing'))).toThrow();
  });
});
