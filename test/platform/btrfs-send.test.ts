/**
 * The hints of `btrfs send`: whatever happens between two snapshots, no path that differs is missed.
 *
 * rsync says which paths differ. Each must be a candidate, or lie below a candidate directory that is
 * another one on each side, which the tree layer compares whole.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changedPaths } from '../../src/backend/btrfs/changed-paths.ts';
import { SendStreamParser } from '../../src/backend/btrfs/send-stream.ts';
import { takeSnapshotSync } from '../../src/backend/btrfs/snapshots.ts';
import { WorkspaceDirectory } from '../../src/backend/btrfs/workspace-directory.ts';
import { writeRecord } from '../../src/backend/btrfs/workspace-record.ts';
import type { PathSet } from '../../src/backend/path-set.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { rsyncDifferences } from '../checker/tree-digest.ts';
import { makeStage, newSnapshotId } from './btrfs-workspace.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';

let image: LoopImage;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 400 });
});
afterAll(async () => {
  await image.dispose();
});

/** A workspace that is a subvolume already, so that nothing but snapshots is exercised. */
function makeSubvolume(): { directory: WorkspaceDirectory; live: string } {
  const stage = makeStage({ on: image.mountPath });
  rmSync(stage.ref.path, { recursive: true });
  execFileSync('btrfs', ['-q', 'subvolume', 'create', stage.ref.path]);
  mkdirSync(stage.ghosts, { recursive: true });
  const show = execFileSync('btrfs', ['subvolume', 'show', stage.ref.path], { encoding: 'utf8' });
  const uuid = /^\s*UUID:\s*(\S+)$/m.exec(show)?.[1]?.replaceAll('-', '') ?? '';
  writeRecord(stage.ghosts, {
    format: 1,
    id: stage.ref.id,
    path: stage.ref.path,
    phase: 'active',
    anchor: uuid,
    subvolumes: [uuid],
    origin: 'subvolume',
    reachedBy: 'place',
  });
  return { directory: new WorkspaceDirectory(stage.ref), live: stage.ref.path };
}

/** Few names, so that renames meet, cycle and replace each other. */
const PLACES = ['a', 'b', 'c', 'a/a', 'a/b', 'b/a', 'b/b', 'a/b/c', 'c/a', 'o257-8-0'];
const KINDS = [
  'write',
  'write',
  'mkdir',
  'mkdir',
  'rename',
  'rename',
  'rename',
  'exchange',
  'link',
  'symlink',
  'chmod',
  'truncate',
  'xattr',
  'remove',
] as const;

const place = fc.constantFrom(...PLACES);
const action = fc.record({ kind: fc.constantFrom(...KINDS), at: place, to: place, n: fc.nat(99) });
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

function startOver(root: string): void {
  for (const name of readdirSync(root)) rmSync(join(root, name), { recursive: true });
  for (const path of ['a/b', 'b/b', 'c']) mkdirSync(join(root, path), { recursive: true });
  for (const path of ['a/a', 'a/b/c', 'b/a', 'c/a']) writeFileSync(join(root, path), path);
}

/** What can't be done (no such file, a directory into itself) is left out: any sequence is valid. */
function act(root: string, { kind, at, to, n }: Action): void {
  const from = join(root, at);
  const other = join(root, to);
  try {
    if (kind === 'write') writeFileSync(from, `${n}`.repeat(n * 50));
    else if (kind === 'mkdir') mkdirSync(from);
    else if (kind === 'rename') renameSync(from, other);
    else if (kind === 'link') linkSync(from, other);
    else if (kind === 'symlink') symlinkSync(`nowhere/${to}`, from);
    else if (kind === 'chmod') chmodSync(from, 0o700 + n);
    else if (kind === 'truncate') truncateSync(from, n);
    else if (kind === 'remove') rmSync(from, { recursive: true });
    else if (kind === 'exchange') exchange(root, from, other);
    else execFileSync('setfattr', ['-h', '-n', 'user.n', '-v', `${n}`, from], { stdio: 'ignore' });
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
  }
}

function exchange(root: string, a: string, b: string): void {
  const aside = join(root, 'aside');
  if (!existsSync(a) || !existsSync(b)) return;
  renameSync(a, aside);
  try {
    renameSync(b, a);
  } finally {
    if (existsSync(dirname(b))) renameSync(aside, b);
    else rmSync(aside, { recursive: true });
  }
}

/** Paths that rsync itemizes, without its trailing slashes. */
function differing(from: string, to: string): string[] {
  return rsyncDifferences(from, to).map((line) => {
    const path = line.slice(line.startsWith('*deleting') ? 12 : line.indexOf(' ') + 1);
    return path
      .replace(/ (->|=>) .*$/, '')
      .replace(/\/$/, '')
      .replace(/^\.$/, '');
  });
}

function inoOf(path: string): number {
  try {
    return lstatSync(path).ino;
  } catch (error) {
    // Not there, or below something that is no directory on this side.
    expect(error).toMatchObject({ code: expect.stringMatching(/^(ENOENT|ENOTDIR)$/) });
    return -1;
  }
}

function isCovered(path: string, candidates: PathSet, sides: readonly [string, string]): boolean {
  if (candidates.hasExact(path as RawPath)) return true;
  for (let above = dirname(path); above !== '.'; above = dirname(above)) {
    const isOther = inoOf(join(sides[0], above)) !== inoOf(join(sides[1], above));
    if (isOther && candidates.hasExact(above as RawPath)) return true;
  }
  return false;
}

describe('changedPaths()', () => {
  test('misses no path that differs, whatever happened between two snapshots', async () => {
    const { directory, live } = makeSubvolume();
    let seen = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 8 }),
        fc.array(action, { minLength: 1, maxLength: 16 }),
        async (before, between) => {
          startOver(live);
          for (const one of before) act(live, one);
          const [from, to] = [newSnapshotId(), newSnapshotId()];
          takeSnapshotSync(directory, from);
          for (const one of between) act(live, one);
          takeSnapshotSync(directory, to);
          const sides = [join(directory.path, from), join(directory.path, to)] as const;
          const candidates = await changedPaths(directory, { from, to });
          if (candidates === null) throw new Error('root gets hints');
          for (const path of differing(sides[0], sides[1])) {
            seen += 1;
            const known = [...candidates];
            expect({ path, known, covered: isCovered(path, candidates, sides) }).toMatchObject({
              covered: true,
            });
          }
          execFileSync('btrfs', ['-q', 'subvolume', 'delete', ...sides]);
        },
      ),
      { numRuns: 120, seed: Number(process.env.GHOSTSNAP_SEED ?? '7') },
    );
    expect(seen).toBeGreaterThan(100);
    directory.forget();
  });

  test('names every hard link of a file that changed through one of them', async () => {
    const { directory, live } = makeSubvolume();
    mkdirSync(join(live, 'far/away'), { recursive: true });
    writeFileSync(join(live, 'one'), 'before');
    linkSync(join(live, 'one'), join(live, 'far/away/two'));
    const [from, to] = [newSnapshotId(), newSnapshotId()];
    takeSnapshotSync(directory, from);
    writeFileSync(join(live, 'one'), 'after!');
    takeSnapshotSync(directory, to);
    const candidates = await changedPaths(directory, { from, to });
    expect([...(candidates ?? [])]).toEqual(expect.arrayContaining(['one', 'far/away/two']));
    directory.forget();
  });

  test('names nothing that neither snapshot holds', async () => {
    const { directory, live } = makeSubvolume();
    const names = Array.from({ length: 20 }, (_, i) => `file ${i}`);
    for (const name of names) writeFileSync(join(live, name), 'before');
    const [from, to] = [newSnapshotId(), newSnapshotId()];
    takeSnapshotSync(directory, from);
    for (const name of names) {
      writeFileSync(join(live, 'beside'), 'after');
      renameSync(join(live, 'beside'), join(live, name));
    }
    takeSnapshotSync(directory, to);
    const candidates = await changedPaths(directory, { from, to });
    expect([...(candidates ?? [])]).toEqual(['', ...names].sort());
    directory.forget();
  });

  test('answers the same question a second time without looking, and looks at the third', async () => {
    const { directory, live } = makeSubvolume();
    const [from, to] = [newSnapshotId(), newSnapshotId()];
    takeSnapshotSync(directory, from);
    writeFileSync(join(live, 'file'), '');
    takeSnapshotSync(directory, to);
    const first = await changedPaths(directory, { from, to });
    expect(await changedPaths(directory, { from, to })).toBe(first);
    const third = await changedPaths(directory, { from, to });
    expect(third).not.toBe(first);
    expect(third).toEqual(first);
    expect(await changedPaths(directory, { from: to, to: from })).not.toBe(third);
    directory.forget();
  });

  test('gives up where there are more changes than a walk would mind', async () => {
    const { directory, live } = makeSubvolume();
    const [from, to] = [newSnapshotId(), newSnapshotId()];
    takeSnapshotSync(directory, from);
    mkdirSync(join(live, 'many'));
    for (let i = 0; i < 8000; i += 1) writeFileSync(join(live, `many/${i}`), '');
    takeSnapshotSync(directory, to);
    expect(await changedPaths(directory, { from, to })).toBeNull();
    // And is asked again the next time: it was not refused.
    expect(await changedPaths(directory, { from, to: from })).not.toBeNull();
    directory.forget();
  });
});

describe('SendStreamParser', () => {
  function streamOf(): Buffer {
    const { directory, live } = makeSubvolume();
    const snapshots = [newSnapshotId(), newSnapshotId()] as const;
    takeSnapshotSync(directory, snapshots[0]);
    mkdirSync(join(live, 'd'));
    writeFileSync(join(live, 'd/file'), 'x'.repeat(10_000));
    takeSnapshotSync(directory, snapshots[1]);
    directory.forget();
    const [parent = '', sent = ''] = snapshots.map((id) => join(directory.path, id));
    const file = join(image.directory, 'stream');
    execFileSync('btrfs', ['-q', 'send', '--no-data', '-p', parent, '-f', file, sent]);
    return readFileSync(file);
  }

  function parse(stream: Uint8Array, chunkBytes: number): string[] {
    const paths: string[] = [];
    const parser = new SendStreamParser((path) => paths.push(path));
    for (let at = 0; at < stream.length; at += chunkBytes) {
      parser.push(stream.subarray(at, at + chunkBytes));
    }
    parser.end();
    return paths;
  }

  test('reads what the btrfs program wrote, whatever the size of the pieces', () => {
    const stream = streamOf();
    const whole = parse(stream, stream.length);
    expect(whole).toEqual(expect.arrayContaining(['d', 'd/file']));
    for (const chunkBytes of [1, 7, 64]) expect(parse(stream, chunkBytes)).toEqual(whole);
  });

  test('refuses a stream that is cut, damaged, or of another version', () => {
    const stream = streamOf();
    expect(() => parse(stream.subarray(0, -1), 4096)).toThrow(/stops in the middle/);
    expect(() => parse(stream.subarray(0, 40), 4096)).toThrow(/stops in the middle/);
    for (const at of [20, 60, stream.length - 30]) {
      const damaged = Buffer.from(stream);
      damaged[at] = (damaged[at] ?? 0) ^ 0x40;
      expect(() => parse(damaged, 4096), `byte ${at}`).toThrow(/is damaged/);
    }
    const newer = Buffer.from(stream);
    newer.writeUInt32LE(2, 13);
    expect(() => parse(newer, 4096)).toThrow(/version is 2/);
  });
});
