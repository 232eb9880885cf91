/** `ghostsnap undo`: goes one state back in the list of states. */
import type { CommandModule } from '../cli-context.ts';
import { registerWalk } from '../history-walk.ts';

export const command: CommandModule = {
  register(program, context) {
    registerWalk(program, context, 'undo');
  },
};
