/** `ghostsnap doctor`: what works on this machine, what is missing, and the line that mends it. */
import { ERROR_KINDS, GhostsnapError } from '../../core/errors.ts';
import {
  type CliContext,
  type CommandModule,
  jsonOption,
  type WorkspaceOptions,
} from '../cli-context.ts';
import type { PoolInfo } from '../composition.ts';
import { formatBytes } from '../human-units.ts';
import { checkMachine, type MachineCheck } from '../machine-checks.ts';
import { listMountedFilesystems, type MountedFilesystem } from '../mounted-filesystems.ts';
import type { Colors, Output } from '../output.ts';
import { printableLine } from '../printable-text.ts';

type Options = Pick<WorkspaceOptions, 'json'>;

const EXAMPLES = `
Ends with a failure when ghostsnap cannot work here at all.

Examples:
  $ ghostsnap doctor
  $ ghostsnap doctor --json`;

export const command: CommandModule = {
  register(program, context) {
    jsonOption(program)
      .addHelpText('after', EXAMPLES)
      .action((options: Options) => doctor(context, options));
  },
};

async function doctor(context: CliContext, options: Options): Promise<void> {
  const { output } = context;
  const checks = await checkMachine(context.environment);
  const isBroken = checks.some((check) => check.state === 'missing');
  // What lies below cannot be looked at without system calls; the checks say what to do first.
  const filesystems = isBroken ? [] : listMountedFilesystems();
  const pools = isBroken ? [] : await poolsOrReason(context);
  if (options.json === true) {
    output.json({ checks, filesystems, pools: Array.isArray(pools) ? pools : [], ok: !isBroken });
  } else {
    for (const check of checks) printCheck(output, check);
    printFilesystems(output, filesystems);
    printPools(output, pools);
  }
  if (isBroken) context.exitCode = ERROR_KINDS.unsupported.exitCode;
}

async function poolsOrReason(context: CliContext): Promise<readonly PoolInfo[] | string> {
  try {
    const { listPools } = await context.composition();
    return await listPools({ environment: context.environment });
  } catch (error) {
    if (error instanceof GhostsnapError) return error.message;
    throw error;
  }
}

function printCheck(output: Output, check: MachineCheck): void {
  const { colors } = output;
  output.line(
    `${stateMark(check.state, colors)}  ${check.name.padEnd(13)} ${printableLine(check.found)}`,
  );
  if (check.mend !== null) output.line(`         ${colors.bold(check.mend)}`);
}

function stateMark(state: MachineCheck['state'], colors: Colors): string {
  if (state === 'ok') return colors.green('ok     ');
  return state === 'limited' ? colors.yellow('limited') : colors.red('missing');
}

function printFilesystems(output: Output, filesystems: readonly MountedFilesystem[]): void {
  if (filesystems.length === 0) return;
  output.line('\nFilesystems, and the backend a workspace there would get:');
  for (const { mountPoint, type, backend, reason, freeBytes } of filesystems) {
    const where = `${printableLine(mountPoint)} (${type})`.padEnd(28);
    const free = `${formatBytes(freeBytes)} free`;
    output.line(`  ${where} ${(backend ?? 'none').padEnd(6)} ${free}, ${printableLine(reason)}`);
  }
}

function printPools(output: Output, pools: readonly PoolInfo[] | string): void {
  if (typeof pools === 'string') {
    output.line(`\nPools: ${pools}`);
    return;
  }
  output.line(pools.length === 0 ? '\nPools: none yet' : '\nPools:');
  for (const pool of pools) {
    const state = pool.mounted
      ? `${formatBytes(pool.freeBytes)} of ${formatBytes(pool.totalBytes)} free`
      : `not mounted; mount it with "sudo ghostsnap pool mount ${pool.name}"`;
    output.line(`  ${pool.name} (${pool.kind}) ${pool.root}  ${state}`);
  }
}
