/**
 * Ctrl-C as an AbortSignal.
 *
 * The first SIGINT, SIGTERM or SIGHUP aborts: the operation stops at its next safe point and leaves
 * a whole tree. The second one ends the process at once, by the signal itself, as if nothing had
 * been caught; the next command recovers what was in flight. Signals are caught only while this
 * lives.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { Output } from './output.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal;
}

export function catchInterrupt(output: Output): Interrupt {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      release();
      process.kill(process.pid, name);
      return;
    }
    output.note('Stopping at the next safe point; interrupt once more to end at once.');
    controller.abort(
      new GhostsnapError('INTERRUPTED', `The operation was interrupted by ${name}.`, {
        hint: 'The workspace is whole. Run the command again to do the rest.',
        data: { signal: name },
      }),
    );
  };
  const release = (): void => {
    for (const name of SIGNALS) process.off(name, onSignal);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return { signal: controller.signal, [Symbol.dispose]: release };
}

/** An abort as the error that the signal carries, whatever shape the aborted call threw it in. */
export function abortReason(error: unknown, signal: AbortSignal): unknown {
  const isAbort = error instanceof Error && error.name === 'AbortError';
  return isAbort && signal.aborted ? signal.reason : error;
}
