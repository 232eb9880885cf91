/**
 * The catalog when its process is killed, when the power fails (a real ext4 that is shut down without
 * flushing its log) and when many processes make it at once.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AT_FDCWD,
  closeFd,
  ioctlSync,
  O_RDONLY,
  openAt,
} from '../../src/backend/syscalls-linux.ts';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import { rawFromText } from '../../src/core/raw-path.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import {
  open,
  type TemporaryDirectory,
  temporaryDirectory,
  workspaceNumber,
} from './catalog-fixture.ts';

const WORKER = join(import.meta.dirname, 'commit-worker.ts');

let directory: TemporaryDirectory;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = temporaryDirectory();
});

afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  directory[Symbol.dispose]();
});

function worker(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [WORKER, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** The last complete line once `enough` lines have come; the process is killed then. */
async function lastLineBeforeKill(child: ChildProcess, enough: number): Promise<number> {
  let last = '';
  let lines = 0;
  for await (const line of createInterface({ input: child.stdout! })) {
    last = line;
    lines += 1;
    if (lines === enough) await kill(child);
  }
  return Number(last);
}

function sequenceOf(file: string): number {
  using catalog = open(file);
  return catalog.loadState(workspaceNumber(1))?.sequence ?? 0;
}

describe('a catalog whose process is killed', () => {
  it('holds every commit that returned, and is sound', async () => {
    for (const enough of [1, 40, 400]) {
      const acknowledged = await lastLineBeforeKill(worker('endless', directory.file), enough);
      expect(verifyCatalog({ file: directory.file })).toEqual([]);
      // One more may have been committed and not yet told.
      expect(sequenceOf(directory.file)).toBeGreaterThanOrEqual(acknowledged);
      expect(sequenceOf(directory.file)).toBeLessThanOrEqual(acknowledged + 1);
    }
  });
});

describe('a catalog that commits in groups, whose process is killed', () => {
  it('holds every commit that was said to have landed, and is sound', async () => {
    const landed = new Map<number, number>();
    const child = worker('grouped', directory.file);
    for await (const line of createInterface({ input: child.stdout! })) {
      const [workspace = 0, sequence = 0] = line.split(' ').map(Number);
      landed.set(workspace, sequence);
    }
    expect(verifyCatalog({ file: directory.file })).toEqual([]);
    using catalog = open(directory.file);
    expect(landed.size).toBeGreaterThan(1);
    for (const [workspace, sequence] of landed) {
      const found = catalog.loadState(workspaceNumber(workspace))?.sequence ?? 0;
      // One more may have landed and not yet been told.
      expect(found).toBeGreaterThanOrEqual(sequence);
      expect(found).toBeLessThanOrEqual(sequence + 1);
    }
  });
});

describe('a catalog that loses power', () => {
  it('holds every commit up to the last that was asked to survive it', async () => {
    await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 64 });
    const file = join(image.mountPath, 'catalog.db');
    const child = worker('durable', file);
    const lines = createInterface({ input: child.stdout! });
    const [line] = (await once(lines, 'line')) as [string];
    cutPower(image.mountPath);
    await kill(child);
    execFileSync('umount', [image.mountPath]);
    execFileSync('mount', ['-o', 'loop', image.imagePath, image.mountPath]);
    expect(verifyCatalog({ file })).toEqual([]);
    expect(sequenceOf(file)).toBe(Number(line));
  });
});

describe('a catalog that many processes make at once', () => {
  it('is made once, and all of them open it', async () => {
    const workers = Array.from({ length: 12 }, () => worker('make', directory.file));
    const ends = await Promise.all(workers.map((child) => once(child, 'close')));
    expect(ends.map(([code]) => code)).toEqual(Array.from({ length: 12 }, () => 0));
    expect(verifyCatalog({ file: directory.file })).toEqual([]);
  });
});

/** `_IOR('X', 125, __u32)`: the filesystem stops at once. */
const FS_IOC_SHUTDOWN = 0x8004587d;
/** The journal is not flushed either: what was not synced is gone, as when the power fails. */
const NO_LOG_FLUSH = 2;

function cutPower(mountPath: string): void {
  const how = Buffer.alloc(4);
  how.writeUInt32LE(NO_LOG_FLUSH);
  const fd = openAt(AT_FDCWD, rawFromText(mountPath), O_RDONLY);
  try {
    ioctlSync(fd, FS_IOC_SHUTDOWN, how, 'FS_IOC_SHUTDOWN');
  } finally {
    closeFd(fd);
  }
}
