/**
 * Trees that are made against the product, and somebody who changes them while it works:
 * `npm run prove -- hostile`.
 *
 * One op is one rollback or restore under attack; how often components were exchanged meanwhile is
 * counted beside. The shapes and the boundaries are tried once on each bed.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeLoopImage } from '../platform/loop-image.ts';
import { tryBoundaries } from './hostile-boundaries.ts';
import { tryGrowing } from './hostile-growing.ts';
import { type RaceCounts, raceTurns } from './hostile-races.ts';
import { type Shape, tryShape } from './hostile-shapes.ts';
import { makeBeds, type UserBed } from './model-beds.ts';
import { type Extent, narrowed, type Prover } from './prover.ts';
import { Witness } from './witness.ts';

const BEDS: Readonly<Record<Extent, readonly string[]>> = {
  bounded: ['btrfs', 'store-ext4-user'],
  long: [
    ...['btrfs', 'btrfs-user', 'store-ext4', 'store-ext4-user'],
    ...['store-xfs', 'store-btrfs-user', 'store-tmpfs'],
  ],
};

const PARTS = ['races', 'shapes', 'wide'] as const;

/** A path through more of them would not fit for the witness. */
const LEVELS = { bounded: 400, long: 2000 } as const;

const shapesOf = (extent: Extent): readonly Shape[] => [
  { kind: 'every-byte', count: 0 },
  { kind: 'deep', count: LEVELS[extent] },
  { kind: 'links', count: 4000 },
  { kind: 'sparse', count: 0 },
];

const ENTRIES = { bounded: 50_000, long: 1_000_000 } as const;
const BOUNDARY_ROUNDS = { bounded: 2, long: 40 } as const;

export const hostile: Prover = {
  name: 'hostile',
  about: 'races, mounts and trees that are made against a rollback',
  narrowedBy: ['beds', 'at'],
  async run(options) {
    const effort = options.effort({
      bounded: { ops: 60, minutes: 2 },
      long: { ops: 100_000, minutes: 24 * 60 },
    });
    using tool = compileSwapper();
    await using witness = new Witness();
    await using beds = await makeBeds();
    const names = narrowed(options, 'beds', BEDS[options.extent]);
    const chosen = beds.all.filter(({ name }) => names.includes(name));
    const counts: RaceCounts = { turns: 0, exchanges: 0, refused: 0 };
    const failures: string[] = [];
    let shapes = 0;
    const part = async (name: string, work: () => Promise<string[]>): Promise<void> => {
      const startedMs = performance.now();
      failures.push(...(await work()).map((what) => `${name}: ${what}`));
      options.say(`${name}: ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    };
    const parts = narrowed(options, 'at', PARTS);
    for (const [index, bed] of parts.includes('races') ? chosen.entries() : []) {
      const effortHere = effort.slice(chosen.length - index);
      const race = { bed, witness, swapper: tool.path, seed: options.seed + index, counts };
      await part(`${bed.name}, races`, () => raceTurns({ ...race, effort: effortHere }));
    }
    for (const bed of parts.includes('shapes') ? chosen : []) {
      for (const shape of shapesOf(options.extent)) {
        // A file of a terabyte is none that a filesystem in memory holds.
        if (shape.kind === 'sparse' && bed.name.includes('tmpfs')) continue;
        await part(`${bed.name}, ${shape.kind}`, () => tryShape({ bed, witness }, shape));
        shapes += 1;
      }
      const end = bed.backend === 'btrfs' ? 'zeros' : 'nothing';
      await part(`${bed.name}, growing`, () => tryGrowing({ bed, witness, end }));
      if (bed.uid !== undefined) continue;
      const rounds = BOUNDARY_ROUNDS[options.extent];
      await part(`${bed.name}, boundaries`, () => tryBoundaries({ bed, witness }, rounds));
    }
    if (parts.includes('shapes')) {
      await part('pool image, growing', () => tryGrowingOnPoolImage(witness));
    }
    if (parts.includes('wide')) {
      await part('wide', () => tryWide(witness, ENTRIES[options.extent]));
      shapes += 2;
    }
    return { counts: { ...counts, shapes }, failures };
  },
};

async function tryGrowingOnPoolImage(witness: Witness): Promise<string[]> {
  await using made = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
  const bed: UserBed = { name: 'pool', backend: 'btrfs', base: made.mountPath, uid: undefined };
  return await tryGrowing({ bed, witness, end: 'nothing' });
}

/** One directory with very many entries, on images of its own: it needs inodes and blocks. */
async function tryWide(witness: Witness, count: number): Promise<string[]> {
  const failures: string[] = [];
  const sizeMiB = Math.ceil(512 + count / 150);
  const inodes = ['-q', '-F', '-N', `${count * 4 + 20_000}`];
  const grounds = [
    { backend: 'btrfs', image: { fs: 'btrfs', sizeMiB } },
    { backend: 'store', image: { fs: 'ext4', sizeMiB, mkfsArguments: inodes } },
  ] as const;
  for (const { backend, image } of grounds) {
    await using made = await makeLoopImage(image);
    const bed: UserBed = {
      name: `wide-${image.fs}`,
      backend,
      base: made.mountPath,
      uid: undefined,
    };
    const found = await tryShape({ bed, witness }, { kind: 'wide', count });
    failures.push(...found.map((what) => `${bed.name}: ${what}`));
  }
  return failures;
}

interface Tool extends Disposable {
  readonly path: string;
}

function compileSwapper(): Tool {
  const folder = mkdtempSync(join(tmpdir(), 'ghostsnap-swapper-'));
  const path = join(folder, 'swapper');
  const source = join(import.meta.dirname, 'c', 'swapper.c');
  execFileSync('gcc', ['-O2', '-Wall', '-o', path, source], { stdio: 'pipe' });
  // A plain user runs it, too.
  execFileSync('chmod', ['755', folder, path]);
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}
