/**
 * What is written while a directory becomes a workspace, moves into a pool, or stops being one.
 *
 * The copy is proven by a comparison that takes its time: a file that it has passed already may be written
 * to again before the copy takes the original's place. Nothing of that may be lost.
 */
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BtrfsStage, fillRichly, makeStage } from './btrfs-workspace.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';

let image: LoopImage;
let other: LoopImage;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 400 });
  other = await makeLoopImage({ fs: 'ext4', sizeMiB: 128 });
});
afterAll(async () => {
  await other.dispose();
  await image.dispose();
});

function newStage(where: 'in-place' | 'elsewhere'): BtrfsStage {
  const home = mkdtempSync(join(other.mountPath, 'home-'));
  const elsewhere = where === 'elsewhere' ? { workspaceAt: home } : {};
  return makeStage({ on: image.mountPath, fill: fillRichly, ...elsewhere });
}

/** Until whatever is written next is dated well after what was written before. */
function passTheTime(): void {
  const probe = join(image.directory, 'probe');
  const startNs = dated(probe);
  while (dated(probe) - startNs < 50_000_000n);
  rmSync(probe);
}

function dated(probe: string): bigint {
  closeSync(openSync(probe, 'w'));
  return statSync(probe, { bigint: true }).ctimeNs;
}

type Hook = { readonly onStep: (label: string) => void };

function begin(stage: BtrfsStage, where: 'in-place' | 'elsewhere', hook: Hook): Promise<void> {
  const { backend, ref } = stage;
  return where === 'in-place' ? backend.initWorkspace(ref, hook) : backend.moveIntoPool(ref, hook);
}

const WAYS = [
  ['in-place', 'init:copied', 'init:exchanged'],
  ['elsewhere', 'move:copied', 'move:switched'],
] as const;

test.each(WAYS)(
  'a workspace made %s holds what was written after the comparison',
  async (where, compared) => {
    await using stage = newStage(where);
    const file = join(stage.ref.path, 'src/f9');
    await begin(stage, where, {
      onStep: (label) => {
        if (label !== compared) return;
        writeFileSync(file, 'written late');
        passTheTime();
      },
    });
    expect(readFileSync(file, 'utf8')).toBe('written late');
  },
);

test.each(WAYS)(
  'work on a workspace made %s outlasts what was written before it',
  async (where, compared, switched) => {
    await using stage = newStage(where);
    const file = join(stage.ref.path, 'src/f9');
    await begin(stage, where, {
      onStep: (label) => {
        if (label !== compared && label !== switched) return;
        writeFileSync(file, label);
        passTheTime();
      },
    });
    expect(readFileSync(file, 'utf8')).toBe(switched);
  },
);

test.each(WAYS)(
  'a directory that was a workspace %s holds what was written after the comparison',
  async (where) => {
    await using stage = newStage(where);
    const file = join(stage.ref.path, 'src/f9');
    await begin(stage, where, { onStep: () => undefined });
    const hook = {
      onStep: (label: string) => {
        if (label !== 'release:copied') return;
        writeFileSync(file, 'written late');
        passTheTime();
      },
    };
    await stage.backend.releaseWorkspace(stage.ref, hook);
    expect(readFileSync(file, 'utf8')).toBe('written late');
  },
);
