/** `ghostsnap unpin SPEC...`: see pinning.ts. */
import type { CommandModule } from '../cli-context.ts';
import { registerPinning } from '../pinning.ts';

export const command: CommandModule = {
  register(program, context) {
    registerPinning(program, context, 'unpin');
  },
};
