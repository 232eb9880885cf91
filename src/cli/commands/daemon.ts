/** `ghostsnap daemon start|stop|status|logs|run|install-unit`. */
import { readFileSync } from 'node:fs';
import { daemonPlace } from '../../daemon/daemon-place.ts';
import { type Home, resolveHome } from '../../daemon/home.ts';
import {
  type CliContext,
  type CommandModule,
  jsonOption,
  type WorkspaceOptions,
} from '../cli-context.ts';
import { catchInterrupt } from '../interrupt.ts';
import { parseCount } from '../parse-count.ts';
import { packageVersion } from '../program.ts';

type Json = Pick<WorkspaceOptions, 'json'>;

interface Status {
  readonly pid: number;
  readonly version: string;
  readonly startedAt: string;
  readonly socket: string;
  readonly openWorkspaces: number;
  readonly hooks: number;
  readonly httpPort: number | null;
}

const EXAMPLES = `
The daemon keeps workspaces warm for the hooks of agents. Hooks start it by
themselves and it ends when nobody has asked for half an hour; everything works
without it, slower.

Examples:
  $ ghostsnap daemon status
  $ ghostsnap daemon logs -n 20
  $ ghostsnap daemon install-unit`;

const LINES_SHOWN = 50;

export const command: CommandModule = {
  register(program, context) {
    program.addHelpText('after', EXAMPLES).usage('COMMAND').helpCommand(false);
    jsonOption(program.command('start'))
      .description('Start it; one that runs stays.')
      .action((options: Json) => start(context, options));
    program
      .command('stop')
      .description('End it after what is under way.')
      .action(() => stop(context));
    jsonOption(program.command('status'))
      .description('Say whether it runs, and what it holds open.')
      .action((options: Json) => status(context, options));
    program
      .command('logs')
      .description('Print the end of its log.')
      .option('-n, --number <count>', 'print this many lines', parseCount, LINES_SHOWN)
      .action((options: { readonly number: number }) => logs(context, options.number));
    program
      .command('run')
      .description('Be the daemon, in the foreground.')
      .action(() => run(context));
    program
      .command('install-unit')
      .description('Write a systemd user unit that runs it.')
      .action(() => installUnit(context));
  },
};

function placeOf({ environment }: CliContext): ReturnType<typeof daemonPlace> {
  return daemonPlace(homeOf(environment), environment);
}

function homeOf(environment: CliContext['environment']): Home {
  return resolveHome(environment);
}

async function start(context: CliContext, options: Json): Promise<void> {
  const { ensureDaemon } = await import('../../daemon/daemon-client.ts');
  const outcome = await ensureDaemon(placeOf(context), context.environment);
  if (options.json !== true) {
    context.output.note(outcome === 'started' ? 'The daemon was started.' : 'It runs already.');
    return;
  }
  context.output.json({ outcome, ...(await askStatus(context)) });
}

async function stop(context: CliContext): Promise<void> {
  const { askDaemon } = await import('../../daemon/daemon-client.ts');
  const reply = await askDaemon(placeOf(context), { method: 'POST', path: '/stop' });
  context.output.note(reply === null ? 'No daemon runs.' : 'The daemon ends.');
}

async function status(context: CliContext, options: Json): Promise<void> {
  const { output } = context;
  const found = await askStatus(context);
  if (options.json === true) {
    output.json({ running: found !== null, ...found });
    return;
  }
  if (found === null) {
    output.line('Running     no');
    return;
  }
  output.line(
    `Running     process ${found.pid}, version ${found.version}, since ${found.startedAt}`,
  );
  output.line(`Socket      ${found.socket}`);
  output.line(`HTTP        ${found.httpPort === null ? 'off' : `127.0.0.1:${found.httpPort}`}`);
  output.line(`Workspaces  ${found.openWorkspaces} open, ${found.hooks} hooks served`);
}

async function askStatus(context: CliContext): Promise<Status | null> {
  const { askDaemon } = await import('../../daemon/daemon-client.ts');
  const reply = await askDaemon(placeOf(context), { method: 'GET', path: '/status' });
  return reply?.status === 200 ? (JSON.parse(reply.body) as Status) : null;
}

function logs(context: CliContext, count: number): void {
  const { log } = placeOf(context);
  let text = '';
  try {
    text = readFileSync(log, 'utf8');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    context.output.note(`No log yet at ${log}`);
  }
  const lines = text.split('\n').filter((line) => line !== '');
  for (const line of lines.slice(-count)) context.output.line(line);
}

async function run(context: CliContext): Promise<void> {
  const { runDaemon } = await loadRunDaemon();
  using interrupt = catchInterrupt(context.output);
  const { signal } = interrupt;
  const { environment } = context;
  const outcome = await runDaemon({ environment, version: packageVersion(), signal });
  if (outcome === 'runs-already') context.output.note('It runs already.');
}

/** Apart from `run`: the compiler does not rewrite an import in a function with `using`. */
function loadRunDaemon(): Promise<typeof import('../../daemon/run-daemon.ts')> {
  return import('../../daemon/run-daemon.ts');
}

async function installUnit(context: CliContext): Promise<void> {
  const { writeDaemonUnit } = await import('../../daemon/daemon-unit.ts');
  const file = writeDaemonUnit(context.environment);
  context.output.line(file);
  context.output.note('Start it with "systemctl --user enable --now ghostsnap.service".');
}
