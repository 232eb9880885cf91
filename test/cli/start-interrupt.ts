/**
 * Waits for an interrupt, says when it may come, and what came; a second one must end the process.
 */
import { catchInterrupt } from '../../src/cli/interrupt.ts';
import { createOutput } from '../../src/cli/output.ts';
import { GhostsnapError } from '../../src/core/errors.ts';

const output = createOutput({ stdout: process.stdout, stderr: process.stderr, env: process.env });
const { signal } = catchInterrupt(output);
const keepsRunning = setInterval(() => {}, 60_000);
signal.addEventListener('abort', () => {
  const { reason } = signal;
  output.line(reason instanceof GhostsnapError ? reason.code : 'something else');
  if (process.argv[2] === 'end') clearInterval(keepsRunning);
});
output.line('ready');
