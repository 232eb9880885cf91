/** `ghostsnap hook install|uninstall|status|test|run`: connecting agents. */
import { type CliContext, type CommandModule, jsonOption } from '../cli-context.ts';

const EXAMPLES = `
Harnesses: claude-code, codex, gemini-cli, opencode, cursor, vscode, copilot-cli.

Examples:
  $ ghostsnap hook install              connect the agents found on this machine
  $ ghostsnap hook install gemini-cli --project
  $ ghostsnap hook status
  $ ghostsnap hook test claude-code`;

/** What an agent's harness takes for "do not run the tool", for those that heed a command's status. */
const BLOCK_STATUS = 2;

export const command: CommandModule = {
  register(program, context) {
    program.addHelpText('after', EXAMPLES).usage('COMMAND [ARGUMENT...]').helpCommand(false);
    program
      .command('install')
      .description('Connect harnesses: those named, or all that are found.')
      .argument('[harness...]', 'which ones')
      .option('--user', 'for all your projects (default)')
      .option('--project', "in this project's own files")
      .option('--http', 'Claude Code: send its tool events over loopback HTTP')
      .option('--yes', 'do not ask')
      .action(async (names: string[], options: object) =>
        (await import('../hook-installing.ts')).install(context, names, options),
      );
    program
      .command('uninstall')
      .description('Take the hooks out again, and nothing else.')
      .argument('[harness...]', 'which ones; all without one')
      .option('--user', 'only from your own files')
      .option('--project', "only from this project's files")
      .option('--yes', 'do not ask')
      .action(async (names: string[], options: object) =>
        (await import('../hook-installing.ts')).uninstall(context, names, options),
      );
    jsonOption(program.command('status'))
      .description('Say for each harness: connected where, last seen, calls without a snapshot.')
      .action(async (options: object) =>
        (await import('../hook-installing.ts')).status(context, options),
      );
    jsonOption(program.command('test'))
      .description('Send a made-up call the way that the harness would.')
      .argument('<harness>', 'which one')
      .action(async (name: string, options: object) =>
        (await import('../hook-installing.ts')).test(context, name, options),
      );
    program
      .command('run')
      .description("Do what a harness's hook asks for: its payload on standard input.")
      .argument('<harness>', 'which harness it comes from')
      .argument('[event]', "the harness's name of the event")
      .action((harness: string, event: string | undefined) => run(context, harness, event ?? ''));
  },
};

async function run(context: CliContext, harness: string, event: string): Promise<void> {
  const { runHook } = await import('../../daemon/run-hook.ts');
  const { environment, output } = context;
  try {
    const body = await readStandardInput();
    const onReply = (text: string): void => output.raw(text);
    const { isOverdue } = await runHook({ harness, event, body, environment, onReply });
    // The snapshot is left to the daemon, which was started: the harness waits for this process to end.
    if (isOverdue) process.exit(context.exitCode);
  } catch (error) {
    // A hook that fails must not let the tool run unseen: this status blocks it, with the reason. At another
    // event it would stop a person's prompt, or keep a subagent from ending.
    const { isBeforeTool } = await import('../../agent/harness-table.ts');
    output.note(`ghostsnap: ${error instanceof Error ? error.message : String(error)}`);
    if (isBeforeTool(event)) context.exitCode = BLOCK_STATUS;
  }
}

async function readStandardInput(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
