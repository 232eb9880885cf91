/** `ghostsnap redo`: takes an undo back. */
import type { CommandModule } from '../cli-context.ts';
import { registerWalk } from '../history-walk.ts';

export const command: CommandModule = {
  register(program, context) {
    registerWalk(program, context, 'redo');
  },
};
