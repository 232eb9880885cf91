/**
 * Somebody changes the live tree while it is turned.
 *
 * The changes are made inside `onStep`, right before a mutation: the worst moment, every time, instead
 * of a race that is met by chance. Nothing outside of the tree may be touched, whatever is swapped in.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { assertSameDigest, assertSameTree, digestTree } from '../checker/tree-digest.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';
import { turn } from './run-apply.ts';

let image: LoopImage;
let source: string;
let live: string;
let outside: string;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
  source = join(image.mountPath, 'source');
  live = join(image.mountPath, 'live');
  outside = join(image.mountPath, 'outside');
});
afterAll(() => image?.dispose());

beforeEach(() => {
  for (const path of [source, live, outside]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(join(path, 'd/e'), { recursive: true });
    for (const name of ['a', 'd/b', 'd/e/c', 'd/f']) {
      writeFileSync(join(path, name), `${name} of ${path}`);
    }
  }
  mkdirSync(join(live, 'extra/below'), { recursive: true });
  writeFileSync(join(live, 'extra/below/x'), 'x');
  writeFileSync(join(live, 'd/e/extra'), 'x');
});

/** Runs `interfere` right before the n-th mutation, for each n until there is no n-th any more. */
async function atEveryStep(
  reset: () => void,
  interfere: () => void,
  check: () => Promise<void>,
): Promise<number> {
  for (let n = 1; ; n += 1) {
    reset();
    let step = 0;
    const onStep = (): void => {
      step += 1;
      if (step === n) interfere();
    };
    const outcome = await turn(live, source, { onStep }).catch((error: unknown) => error);
    if (step < n) return n - 1;
    if (outcome instanceof Error) {
      // What was raced away may be reported, never anything worse than that.
      expect(outcome).toMatchObject({ code: 'RESTORE_FAILED' });
    }
    await check();
  }
}

function resetLive(): void {
  rmSync(live, { recursive: true, force: true });
  mkdirSync(join(live, 'd/e'), { recursive: true });
  for (const name of ['a', 'd/b', 'd/e/c', 'd/f', 'd/e/extra']) {
    writeFileSync(join(live, name), `changed ${name}`);
  }
  mkdirSync(join(live, 'extra/below'), { recursive: true });
  writeFileSync(join(live, 'extra/below/x'), 'x');
}

describe('applyTree() while others change the tree', () => {
  test.each(['d', 'd/e', 'extra', 'extra/below'])(
    'never leaves it through %s when that becomes a symlink at any step',
    async (name) => {
      writeFileSync(join(outside, 'x'), 'untouchable');
      mkdirSync(join(outside, 'below'));
      writeFileSync(join(outside, 'below/x'), 'untouchable');
      const before = digestTree(outside);
      const swap = (): void => {
        const path = join(live, name);
        if (!existsSync(path) || lstatSync(path).isSymbolicLink()) return;
        rmSync(join(image.mountPath, 'moved'), { recursive: true, force: true });
        renameSync(path, join(image.mountPath, 'moved'));
        symlinkSync(outside, path);
      };
      const steps = await atEveryStep(resetLive, swap, async () => {
        assertSameDigest(before, digestTree(outside), 'outside');
        await turn(live, source);
        assertSameTree(source, live);
        assertSameDigest(before, digestTree(outside), 'outside');
      });
      expect(steps).toBeGreaterThan(10);
    },
  );

  test('carries on when what it is about to change vanishes at any step', async () => {
    const vanish = (): void => {
      for (const name of ['a', 'd/b', 'd/e', 'extra/below']) {
        rmSync(join(live, name), { recursive: true, force: true });
      }
    };
    await atEveryStep(resetLive, vanish, async () => {
      await turn(live, source);
      assertSameTree(source, live);
    });
  });

  test('overwrites nothing that turned up where it creates a file', async () => {
    resetLive();
    unlinkSync(join(live, 'a'));
    symlinkSync(join(outside, 'a'), join(live, 'unused'));
    const before = readFileSync(join(outside, 'a'), 'utf8');
    const onStep = (label: string): void => {
      const isCreating = label.endsWith(':create file') && !existsSync(join(live, 'a'));
      if (isCreating) renameSync(join(live, 'unused'), join(live, 'a'));
    };
    await turn(live, source, { onStep });
    expect(readFileSync(join(outside, 'a'), 'utf8')).toBe(before);
    expect(readFileSync(join(live, 'a'), 'utf8')).toBe(readFileSync(join(source, 'a'), 'utf8'));
  });

  test('leaves no temporary file of its own behind', async () => {
    await atEveryStep(
      resetLive,
      () => rmSync(join(live, 'd/b'), { force: true }),
      async () => {
        const names = readdirSync(live, { recursive: true, encoding: 'utf8' });
        expect(names.filter((name) => name.includes('.ghostsnap-'))).toEqual([]);
      },
    );
  });
});
