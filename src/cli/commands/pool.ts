/** `ghostsnap pool create|list|status|mount|destroy`. */
import { resolve } from 'node:path';
import {
  type CliContext,
  type CommandModule,
  jsonOption,
  type WorkspaceOptions,
} from '../cli-context.ts';
import type { PoolInfo } from '../composition.ts';
import { confirmOrThrow } from '../confirm.ts';
import { formatBytes, parseBytes } from '../human-units.ts';
import type { Output } from '../output.ts';

type Json = Pick<WorkspaceOptions, 'json'>;
type CreateOptions = Json & { readonly size?: string; readonly directory?: string };
type DestroyOptions = Json & { readonly yes?: true; readonly force?: true };

const EXAMPLES = `
A pool is where snapshots live: a btrfs that is there already, a store, or a
btrfs image that this command makes. Making and mounting an image needs root.

Examples:
  $ sudo ghostsnap pool create fast --size 20G
  $ ghostsnap pool list
  $ ghostsnap init ~/project --pool fast`;

export const command: CommandModule = {
  register(program, context) {
    program.addHelpText('after', EXAMPLES).usage('COMMAND [ARGUMENT...]').helpCommand(false);
    jsonOption(program.command('create'))
      .description('Make a btrfs image, mount it and register it.')
      .argument('<name>', 'what to call it')
      .option('--size <bytes>', 'how large it may grow, as 20G or 512M')
      .option('--directory <dir>', 'where the image file goes')
      .addHelpText('after', '\nExample:\n  $ sudo ghostsnap pool create fast --size 20G')
      .action((name: string, options: CreateOptions) => create(context, name, options));
    jsonOption(program.command('list'))
      .description('List the pools.')
      .action((options: Json) => list(context, options));
    jsonOption(program.command('status'))
      .description('Show a pool.')
      .argument('<name>', 'the pool')
      .action((name: string, options: Json) => status(context, name, options));
    jsonOption(program.command('mount'))
      .description('Mount the image of a pool again, after a reboot.')
      .argument('<name>', 'the pool')
      .action((name: string, options: Json) => mount(context, name, options));
    jsonOption(program.command('destroy'))
      .description('Unmount a pool and delete its image with everything in it.')
      .argument('<name>', 'the pool')
      .option('--yes', 'do not ask')
      .option('--force', 'also with workspaces in it')
      .action((name: string, options: DestroyOptions) => destroy(context, name, options));
  },
};

async function create(context: CliContext, name: string, options: CreateOptions): Promise<void> {
  const { environment } = context;
  const { createPool } = await context.composition();
  const { size, directory } = options;
  const pool = await createPool({
    name,
    environment,
    ...(size === undefined ? {} : { sizeBytes: parseBytes(size) }),
    ...(directory === undefined ? {} : { directory: resolve(environment.cwd, directory) }),
  });
  printPool(context.output, pool, options);
}

async function list(context: CliContext, options: Json): Promise<void> {
  const { output, environment } = context;
  const { listPools } = await context.composition();
  const pools = await listPools({ environment });
  if (options.json === true) output.json(pools);
  else if (pools.length === 0) output.note('No pools yet; "ghostsnap init" makes what it needs.');
  else for (const pool of pools) output.line(poolLine(pool));
}

async function status(context: CliContext, name: string, options: Json): Promise<void> {
  const { poolStatus } = await context.composition();
  const { environment } = context;
  printPool(context.output, await poolStatus({ name, environment }), options);
}

async function mount(context: CliContext, name: string, options: Json): Promise<void> {
  const { mountPool } = await context.composition();
  const { environment } = context;
  printPool(context.output, await mountPool({ name, environment }), options);
}

async function destroy(context: CliContext, name: string, options: DestroyOptions): Promise<void> {
  const { output, environment } = context;
  if (options.yes !== true) {
    await confirmOrThrow(context, {
      question: `Delete the pool ${name} and every snapshot in it?`,
      what: `Destroying the pool ${name}`,
    });
  }
  const { destroyPool } = await context.composition();
  await destroyPool({ name, environment, force: options.force === true ? 'yes' : 'no' });
  if (options.json === true) output.json({ name, destroyed: true });
  else output.line(`destroyed ${name}`);
}

function printPool(output: Output, pool: PoolInfo, options: Json): void {
  if (options.json === true) {
    output.json(pool);
    return;
  }
  output.line(`Pool        ${pool.name} (${pool.id})`);
  output.line(`Kind        ${pool.kind}`);
  output.line(`Root        ${pool.root}${pool.mounted ? '' : ' (not mounted)'}`);
  if (pool.image !== null) output.line(`Image       ${pool.image}`);
  output.line(`Space       ${spaceWords(pool)}`);
  output.line(`Workspaces  ${pool.workspaces}`);
}

function poolLine(pool: PoolInfo): string {
  const count = `${pool.workspaces} ${pool.workspaces === 1 ? 'workspace' : 'workspaces'}`;
  const space = pool.mounted ? spaceWords(pool) : 'not mounted';
  return `${pool.name}  ${pool.kind}  ${pool.root}  ${space}  ${count}`;
}

function spaceWords(pool: PoolInfo): string {
  return `${formatBytes(pool.freeBytes)} of ${formatBytes(pool.totalBytes)} free`;
}
