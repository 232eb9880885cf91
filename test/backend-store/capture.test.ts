/** What a snapshot of the store sees: every change, however well it hides. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { assertSameDigest, digestTree } from '../checker/tree-digest.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import { MappingHolder } from './mapping-holder.ts';
import { StoreStage } from './store-stage.ts';

let stage: StoreStage;

beforeEach(() => {
  stage = new StoreStage();
});
afterEach(() => stage?.[Symbol.dispose]());

async function contentOf(backend: Backend, id: Parameters<Backend['openTree']>[1], path: string) {
  using tree = await backend.openTree(stage.ref, id);
  return Buffer.from(tree.readFile(path as RawPath, 0, 1 << 20)).toString('latin1');
}

function objectCount(): number {
  return readdirSync(stage.objects, { recursive: true, withFileTypes: true }).filter((e) =>
    e.isFile(),
  ).length;
}

describe('without reflinks', () => {
  test('a change of content that keeps size and mtime is captured', async () => {
    await using backend = await stage.open();
    writeFileSync(stage.inLive('a'), 'one');
    utimesSync(stage.inLive('a'), 1000, 1000);
    const first = stage.take(backend);
    writeFileSync(stage.inLive('a'), 'two');
    utimesSync(stage.inLive('a'), 1000, 1000);
    const second = stage.take(backend);
    expect(await contentOf(backend, first, 'a')).toBe('one');
    expect(await contentOf(backend, second, 'a')).toBe('two');
  });

  test('a file whose ctime is not older than the last look is read again', async () => {
    // The clock of the test stands still, so every ctime looks as young as the look itself: what the
    // index says of such a file is never believed, whatever the timestamps are.
    writeFileSync(stage.inLive('a'), 'one');
    await using backend = await stage.open({ nowMs: () => statSync(stage.inLive('a')).ctimeMs });
    stage.take(backend);
    const index = readFileSync(join(stage.own, 'index'));
    writeFileSync(stage.inLive('a'), 'two');
    const { ino } = statSync(stage.inLive('a'));
    writeFileSync(join(stage.own, 'index'), withCtimeOf(index, ino, stage.inLive('a')));
    const second = stage.take(backend);
    expect(await contentOf(backend, second, 'a')).toBe('two');
  });

  test('a store through an old mapping is captured though nothing was called', async () => {
    // A clock that runs ahead, so that no file is read again merely for being young.
    await using backend = await stage.open({ nowMs: () => Date.now() + 10_000 });
    writeFileSync(stage.inLive('mapped'), 'x'.repeat(8192));
    await using holder = new MappingHolder(stage.inLive('mapped'));
    for (const text of ['1', '2']) {
      await holder.store(text);
      expect((await contentOf(backend, stage.take(backend), 'mapped'))[0]).toBe(text);
    }
  });

  test('equal contents are kept once, unchanged files not again', async () => {
    await using backend = await stage.open();
    for (let i = 0; i < 20; i += 1) writeFileSync(stage.inLive(`copy-${i}`), 'the same');
    stage.take(backend);
    const before = objectCount();
    expect(before).toBe(2);
    mkdirSync(stage.inLive('d'));
    writeFileSync(stage.inLive('d/new'), 'another');
    stage.take(backend);
    // One blob, the directory it is in, the root.
    expect(objectCount()).toBe(before + 3);
  });

  test('a compressible file takes less than it is, a sparse one next to nothing', async () => {
    await using backend = await stage.open();
    writeFileSync(stage.inLive('text'), 'all work and no play '.repeat(100_000));
    const fd = openSync(stage.inLive('sparse'), 'w');
    writeSync(fd, 'end', 5_000_000_000);
    ftruncateSync(fd, 10_000_000_000);
    closeSync(fd);
    const id = stage.take(backend);
    const kib = Number(
      execFileSync('du', ['-sk', stage.objects], { encoding: 'utf8' }).split('\t')[0],
    );
    expect(kib).toBeLessThan(200);
    const before = digestTree(stage.live, { holes: 'compare' });
    rmSync(stage.inLive('sparse'));
    await backend.applyInPlace(stage.ref, id);
    assertSameDigest(before, digestTree(stage.live, { holes: 'compare' }), 'sparse');
  });

  test('sockets are reported and do not disturb', async () => {
    await using backend = await stage.open();
    const server = createServer().listen(stage.inLive('socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    try {
      const { uncovered } = backend.createSnapshotSync(stage.ref, stage.nextId());
      expect(uncovered).toEqual([{ path: 'socket', reason: 'socket' }]);
      const again = backend.createSnapshotSync(stage.ref, stage.nextId());
      expect(again.uncovered).toEqual(uncovered);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('many files are captured by workers exactly as by one thread', async () => {
    await using backend = await stage.open();
    for (let d = 0; d < 20; d += 1) {
      mkdirSync(stage.inLive(`d${d}`));
      for (let f = 0; f < 100; f += 1)
        writeFileSync(stage.inLive(`d${d}/f${f}`), `content ${d} ${f % 60}`);
    }
    linkSync(stage.inLive('d0/f0'), stage.inLive('d9/linked'));
    symlinkSync('nowhere', stage.inLive('d1/link'));
    const inBackground = await stage.takeInBackground(backend);
    rmSync(join(stage.own, 'index'));
    const here = stage.take(backend);
    const changes = [];
    for await (const change of backend.compare(stage.ref, inBackground, here)) changes.push(change);
    expect(changes).toEqual([]);
    const before = digestTree(stage.live);
    rmSync(stage.inLive('d3'), { recursive: true });
    chmodSync(stage.inLive('d4/f4'), 0o600);
    await backend.applyInPlace(stage.ref, inBackground);
    assertSameDigest(before, digestTree(stage.live), 'captured by workers');
  });

  test('a name that becomes another kind of thing is captured as what it is', async () => {
    await using backend = await stage.open();
    writeFileSync(stage.inLive('thing'), 'a file');
    mkdirSync(stage.inLive('other'));
    writeFileSync(stage.inLive('other/x'), 'x');
    stage.take(backend);
    rmSync(stage.inLive('thing'));
    renameSync(stage.inLive('other'), stage.inLive('thing'));
    symlinkSync('thing/x', stage.inLive('other'));
    const before = digestTree(stage.live);
    const id = stage.take(backend);
    rmSync(stage.inLive('thing'), { recursive: true });
    rmSync(stage.inLive('other'));
    await backend.applyInPlace(stage.ref, id);
    assertSameDigest(before, digestTree(stage.live), 'after the exchange of kinds');
  });
});

describe('with reflinks', () => {
  test.each(['xfs', 'btrfs'] as const)('contents are shared on %s, not copied', async (fs) => {
    await using image = await makeLoopImage({ fs, sizeMiB: 512 });
    using own = new StoreStage(image.mountPath);
    await using backend = await own.open();
    writeFileSync(join(own.live, 'big'), Buffer.alloc(80_000_000, Math.random().toString(36)));
    execFileSync('sync', ['-f', own.live]);
    const usedBefore = usedBytes(backend, own.pool);
    const id = own.take(backend);
    execFileSync('sync', ['-f', own.live]);
    expect(usedBytes(backend, own.pool) - usedBefore).toBeLessThan(8_000_000);
    const before = digestTree(own.live);
    writeFileSync(join(own.live, 'big'), 'destroyed');
    await backend.applyInPlace(own.ref, id);
    assertSameDigest(before, digestTree(own.live), 'shared');
  });

  test('a file that was only touched refers to the clone it has', async () => {
    await using image = await makeLoopImage({ fs: 'xfs', sizeMiB: 320 });
    using own = new StoreStage(image.mountPath);
    await using backend = await own.open();
    writeFileSync(join(own.live, 'a'), 'x'.repeat(10_000));
    own.take(backend);
    const clones = (): number =>
      readdirSync(own.objects, { recursive: true }).filter((n) => String(n).endsWith('.c')).length;
    expect(clones()).toBe(1);
    utimesSync(join(own.live, 'a'), 5, 5);
    own.take(backend);
    expect(clones()).toBe(1);
  });
});

function usedBytes(backend: Backend, pool: string): number {
  const { totalBytes, freeBytes } = backend.space(pool);
  return totalBytes - freeBytes;
}

/** The index, with the ctime that the file has now: as if both changes had come in one tick. */
function withCtimeOf(index: Buffer, ino: number, path: string): Buffer {
  const { ctimeNs, mtimeNs } = statSync(path, { bigint: true });
  const bytes = Buffer.from(index);
  const inode = Buffer.alloc(8);
  inode.writeBigUInt64LE(BigInt(ino));
  const at = bytes.indexOf(inode, 96);
  if (at < 0) throw new Error('The index does not hold the file.');
  // Words 9 to 14 of the record: ctime, then mtime; word 5 is where the inode number was found.
  bytes.writeBigInt64LE(ctimeNs / 1_000_000_000n, at + 16);
  bytes.writeUInt32LE(Number(ctimeNs % 1_000_000_000n), at + 24);
  bytes.writeBigInt64LE(mtimeNs / 1_000_000_000n, at + 28);
  bytes.writeUInt32LE(Number(mtimeNs % 1_000_000_000n), at + 36);
  bytes.writeUInt32LE(crcOf(bytes.subarray(20)), 16);
  return bytes;
}

function crcOf(bytes: Buffer): number {
  const { crc32 } = process.getBuiltinModule('node:zlib');
  return crc32(bytes);
}
