/** `ghostsnap completion bash|zsh|fish`: prints the script that a shell evaluates. */
import { Argument } from 'commander';
import type { CommandModule } from '../cli-context.ts';
import { COMMANDS } from '../command-table.ts';
import { completionScript, SHELLS, type Shell } from '../completion-scripts.ts';
import { buildProgram } from '../program.ts';

const EXAMPLES = `
Examples:
  $ echo 'eval "$(ghostsnap completion bash)"' >> ~/.bashrc
  $ echo 'eval "$(ghostsnap completion zsh)"' >> ~/.zshrc
  $ ghostsnap completion fish > ~/.config/fish/completions/ghostsnap.fish`;

export const command: CommandModule = {
  register(program, context) {
    program
      .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
      .addHelpText('after', EXAMPLES)
      .action(async (shell: Shell) => {
        const everyVerb = new Set(COMMANDS.map((entry) => entry.name));
        context.output.raw(completionScript(await buildProgram(context, everyVerb), shell));
      });
  },
};
