/**
 * `ghostsnap demo [DIR]`: destroys a copy of a real project in every usual way and brings it back.
 *
 * The project itself is only read. Everything happens in a temporary directory with a home of its
 * own, which is taken down at the end, also after a failure or Ctrl-C.
 */
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { probeFilesystem } from '../../backend/probe.ts';
import { PACKAGE_ROOT } from '../../daemon/own-files.ts';
import type { CliContext, CommandModule } from '../cli-context.ts';
import type { Composition } from '../composition.ts';
import { type DemoPlace, makeDemoPlace, removeDemoPlace } from '../demo/demo-place.ts';
import { type DemoScore, runDemo } from '../demo/demo-run.ts';
import { comparingTool } from '../demo/independent-compare.ts';
import { abortReason, catchInterrupt } from '../interrupt.ts';
import { findTool } from '../machine-checks.ts';

type Backend = 'btrfs' | 'store';

interface Options {
  readonly backend: Backend | 'both';
}

const POOL = 'demo';

/** Sparse: only what the copy needs is taken from the disk. */
const POOL_BYTES = 16 * 1024 ** 3;

const EXAMPLES = `
The project is copied first and only read; the copies go when the demo ends.
As root a btrfs image is made for the btrfs half; without root it is left out,
unless the temporary directory is on btrfs.

Examples:
  $ ghostsnap demo
  $ ghostsnap demo ~/project --backend store`;

export const command: CommandModule = {
  register(program, context) {
    const backend = new Option('--backend <kind>', 'show one backend only')
      .choices(['both', 'btrfs', 'store'])
      .default('both');
    program
      .argument('[dir]', "the project to copy; ghostsnap's own checkout by default")
      .addOption(backend)
      .addHelpText('after', EXAMPLES)
      .action((dir: string | undefined, _: Options, self: Command) =>
        demo(context, dir, self.opts<Options>()),
      );
  },
};

async function demo(context: CliContext, dir: string | undefined, options: Options): Promise<void> {
  const { output, environment } = context;
  const composition = await context.composition();
  const source = resolve(environment.cwd, dir ?? PACKAGE_ROOT);
  using interrupt = catchInterrupt(output);
  const { signal } = interrupt;
  const place = makeDemoPlace(environment);
  output.line(`Demo in ${place.base}, trees compared by ${comparingTool(environment)}`);
  const score = { passed: 0, failed: 0 };
  try {
    for (const backend of ['btrfs', 'store'] as const) {
      if (options.backend !== 'both' && options.backend !== backend) continue;
      const pool = backend === 'btrfs' ? await btrfsPool(context, composition, place) : null;
      if (pool === 'left out') continue;
      const run = { context, composition, place, source, backend, pool, signal };
      add(score, await runDemo({ ...run, at: 'beside' }));
      if (pool === null) continue;
      const named = { name: pool, ...environmentOf(place) };
      const { root } = await composition.poolStatus(named);
      add(score, await runDemo({ ...run, at: root }));
      await composition.destroyPool(named);
    }
  } catch (error) {
    throw abortReason(error, signal);
  } finally {
    await removeDemoPlace(place);
  }
  output.line(`\n${score.passed} passed, ${score.failed} failed`);
  if (score.failed > 0) context.exitCode = 1;
}

/** The pool for the btrfs half; null where the place is on btrfs itself. */
async function btrfsPool(
  context: CliContext,
  composition: Composition,
  place: DemoPlace,
): Promise<string | null | 'left out'> {
  const { output, environment } = context;
  if (environment.uid === 0 && findTool(environment, 'mkfs.btrfs') !== null) {
    // Beside the demo's home, not in it: a workspace is made on it as well.
    const directory = join(place.base, 'image');
    const pool = { name: POOL, sizeBytes: POOL_BYTES, directory, ...environmentOf(place) };
    const { image } = await composition.createPool(pool);
    output.line(`Made and mounted the btrfs image ${image}`);
    return POOL;
  }
  if (probeFilesystem(place.base).isBtrfs) return null;
  const why = environment.uid === 0 ? 'mkfs.btrfs is not installed' : 'it needs root for its image';
  output.line(`\nbtrfs: left out, ${why}`);
  return 'left out';
}

function environmentOf(place: DemoPlace): Pick<DemoPlace, 'environment'> {
  return { environment: place.environment };
}

function add(sum: { passed: number; failed: number }, score: DemoScore): void {
  sum.passed += score.passed;
  sum.failed += score.failed;
}
