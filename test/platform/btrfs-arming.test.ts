/**
 * Arming on a real btrfs: what is armed is proven to be the live tree, and no change is missed, whatever
 * way it is made.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Arming } from '../../src/backend/backend.ts';
import { assert } from '../../src/core/errors.ts';
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
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 600 });
});
afterAll(async () => {
  await image.dispose();
});

interface ArmedStage extends AsyncDisposable {
  readonly stage: BtrfsStage;
  readonly arming: Arming;
  /** A file of two pages in the workspace. */
  readonly file: string;
  arm(): Promise<SnapshotId>;
}

async function armedStage(): Promise<ArmedStage> {
  const stage = makeStage({
    on: image.mountPath,
    fill: (path) => {
      fillRichly(path);
      writeFileSync(join(path, 'file'), Buffer.alloc(8192, 1));
    },
  });
  await stage.backend.initWorkspace(stage.ref, {});
  const { arming } = stage.backend;
  assert(arming !== null, 'btrfs arms');
  return {
    stage,
    arming,
    file: join(stage.ref.path, 'file'),
    async arm() {
      const id = newSnapshotId();
      await arming.arm(stage.ref, id);
      return id;
    },
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  };
}

/** A process that holds the file open and mapped, and changes it when told. */
class Writer implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(file: string) {
    const program = join(import.meta.dirname, 'dirty-writer.py');
    this.#child = spawn('python3', [program, file], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#answers = lines[Symbol.asyncIterator]();
  }

  async ready(): Promise<void> {
    const { value } = await this.#answers.next();
    expect(value).toBe('ok');
  }

  async change(way: string): Promise<void> {
    this.#child.stdin?.write(`${way}\n`);
    await this.ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.stdin?.end();
    await ended;
  }
}

const METADATA: Readonly<Record<string, (file: string) => void>> = {
  chmod: (file) => chmodSync(file, 0o640),
  utimes: (file) => utimesSync(file, 1, 1),
  truncate: (file) => truncateSync(file, 10),
  rename: (file) => renameSync(file, `${file}.new`),
  unlink: (file) => unlinkSync(file),
  link: (file) => linkSync(file, `${file}.link`),
  mkdir: (file) => mkdirSync(`${file}.d`),
  'an empty file': (file) => writeFileSync(`${file}.e`, ''),
  'a small new file': (file) => writeFileSync(`${file}.s`, 'x'),
  setxattr: (file) => void execFileSync('setfattr', ['-n', 'user.k', '-v', 'v', file]),
  'a hole': (file) => void execFileSync('fallocate', ['-p', '-l', '4096', file]),
  'a reflink': (file) => void execFileSync('cp', ['--reflink=always', file, `${file}.c`]),
};

/** Rounds for what depends on the instant; what is missed once in fifty is missed here. */
const ROUNDS = 60;

describe('an armed snapshot', () => {
  test('is the live tree while nothing changes, is listed once adopted, and only then', async () => {
    await using armed = await armedStage();
    const { stage, arming } = armed;
    const id = await armed.arm();
    expect(arming.check(stage.ref, id)).toBe('same');
    expect(arming.list(stage.ref)).toEqual([id]);
    expect(stage.backend.listSnapshots(stage.ref)).toEqual([]);
    arming.adopt(stage.ref, id);
    arming.adopt(stage.ref, id);
    expect(arming.list(stage.ref)).toEqual([]);
    expect(stage.backend.listSnapshots(stage.ref)).toMatchObject([{ id, isWhole: true }]);
    assertRsyncSame(stage.ref.path, join(stage.ghosts, id));
  });

  test('flushes what was freshly written', async () => {
    await using armed = await armedStage();
    writeFileSync(join(armed.stage.ref.path, 'fresh'), Buffer.alloc(20_000_000, 7));
    const id = await armed.arm();
    expect(armed.arming.check(armed.stage.ref, id)).toBe('same');
  });

  test('is dropped without a trace', async () => {
    await using armed = await armedStage();
    const id = await armed.arm();
    armed.arming.drop(armed.stage.ref, id);
    armed.arming.drop(armed.stage.ref, id);
    await armed.stage.backend[Symbol.asyncDispose]();
    expect(armed.arming.list(armed.stage.ref)).toEqual([]);
    expect(armed.arming.check(armed.stage.ref, id)).toBe('changed');
  });

  test.each(['', 'user_subvol_rm_allowed'])(
    'is dropped without a trace by a plain user (mount option %j)',
    async (option) => {
      const mountOptions = option === '' ? {} : { mountOptions: option };
      await using own = await makeLoopImage({ fs: 'btrfs', sizeMiB: 200, ...mountOptions });
      const fill = (path: string): void => writeFileSync(join(path, 'file'), 'x');
      await using stage = makeStage({ on: own.mountPath, fill, uid: PLAIN_UID });
      const id = newSnapshotId();
      const armed = { method: 'arming.arm', args: [id] };
      const dropped = { method: 'arming.drop', args: [id] };
      const calls = [{ method: 'initWorkspace' }, armed, dropped];
      const { error } = runBtrfsChild({ ref: stage.ref, calls }, PLAIN_UID);
      expect(error).toBeNull();
      expect(readdirSync(stage.ghosts).filter((name) => /armed_|doomed_/.test(name))).toEqual([]);
    },
  );

  test.each(Object.keys(METADATA))('is not the live tree after %s', async (way) => {
    await using armed = await armedStage();
    const id = await armed.arm();
    METADATA[way]?.(armed.file);
    expect(armed.arming.check(armed.stage.ref, id)).not.toBe('same');
    execFileSync('sync', ['-f', armed.stage.ref.path]);
    expect(armed.arming.check(armed.stage.ref, id)).toBe('changed');
  });

  test.each(['write', 'append', 'store', 'direct', 'aio', 'uring'])(
    'is not the live tree after a change by %s, in the flush’s own tick as well',
    async (way) => {
      await using armed = await armedStage();
      await using writer = new Writer(armed.file);
      await writer.ready();
      for (let round = 0; round < ROUNDS; round += 1) {
        // A change right before the flush and one right after it, with the same time stamps.
        await writer.change(way);
        const id = await armed.arm();
        await writer.change(way);
        expect(armed.arming.check(armed.stage.ref, id)).not.toBe('same');
        armed.arming.drop(armed.stage.ref, id);
      }
    },
  );

  test('never misses a change that comes while it is being armed', async () => {
    await using armed = await armedStage();
    await using writer = new Writer(armed.file);
    await writer.ready();
    for (let round = 0; round < ROUNDS; round += 1) {
      const way = round % 2 === 0 ? 'store' : 'write';
      const [id] = await Promise.all([armed.arm(), writer.change(way)]);
      const found = armed.arming.check(armed.stage.ref, id);
      const live = readFileSync(armed.file);
      armed.arming.adopt(armed.stage.ref, id);
      // Either the armed snapshot has the change, or it is not taken for the live tree.
      if (found === 'same') {
        expect(readFileSync(join(armed.stage.ghosts, id, 'file')).equals(live)).toBe(true);
      }
    }
  });

  test('is not the live tree after a write through another mount of the filesystem', async () => {
    await using armed = await armedStage();
    const other = mkdtempSync(join(tmpdir(), 'ghostsnap-mount-'));
    execFileSync('mount', ['--bind', armed.stage.ref.path, other]);
    try {
      const id = await armed.arm();
      writeFileSync(join(other, 'file'), 'through the other mount');
      expect(armed.arming.check(armed.stage.ref, id)).not.toBe('same');
    } finally {
      execFileSync('umount', [other]);
      rmSync(other, { recursive: true });
    }
  });

  test('is proven again when a neighbour’s data has reached the disk', async () => {
    await using armed = await armedStage();
    await using neighbour = await armedStage();
    const id = await armed.arm();
    writeFileSync(neighbour.file, 'the neighbour writes');
    expect(armed.arming.check(armed.stage.ref, id)).toBe('unproven');
    execFileSync('sync', ['-f', neighbour.file]);
    expect(armed.arming.check(armed.stage.ref, id)).toBe('same');
  });

  test('is not the live tree when somebody made it writable', async () => {
    await using armed = await armedStage();
    const id = await armed.arm();
    const path = join(armed.stage.ghosts, id.replace('ghost_', 'armed_'));
    expect(existsSync(path)).toBe(true);
    execFileSync('btrfs', ['property', 'set', path, 'ro', 'false']);
    expect(armed.arming.check(armed.stage.ref, id)).toBe('changed');
  });
});
