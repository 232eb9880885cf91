/** `ghostsnap serve --config FILE`. */
import type { CliContext, CommandModule } from '../cli-context.ts';
import { packageVersion } from '../program.ts';

interface Options {
  readonly config: string;
  readonly check?: true;
}

const EXAMPLES = `
Serves the workspaces of its pools to agent platforms, over a unix socket and
over HTTP/2 with client certificates. SIGTERM drains and ends it; SIGHUP reads
the configuration again. docs/service.md describes the file.

Examples:
  $ ghostsnap serve --config /etc/ghostsnap/service.json --check
  $ ghostsnap serve --config /etc/ghostsnap/service.json`;

export const command: CommandModule = {
  register(program, context) {
    program
      .addHelpText('after', EXAMPLES)
      .requiredOption('--config <file>', 'the configuration file')
      .option('--check', 'only say whether the configuration can be used')
      .action((options: Options) => run(context, options));
  },
};

async function run(context: CliContext, options: Options): Promise<void> {
  const { environment } = context;
  if (options.check === true) {
    const { resolveHome } = await import('../../daemon/home.ts');
    const { loadServiceConfig } = await import('../../daemon/service-config.ts');
    loadServiceConfig(resolveHome(environment), options.config);
    context.output.note('The configuration can be used.');
    return;
  }
  const { serve } = await import('../../daemon/serve.ts');
  const { LogWriter } = await import('../../daemon/log-writer-linux.ts');
  const log = LogWriter.toStandardError();
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.on('SIGTERM', end).on('SIGINT', end);
  try {
    await serve({
      environment,
      configFile: options.config,
      version: packageVersion(),
      stop: stop.signal,
      onReload: (reload) => void process.on('SIGHUP', reload),
      write: (line) => log.write(line),
    });
  } finally {
    await log.close();
  }
}
