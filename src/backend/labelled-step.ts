/**
 * Labelled steps of operations that have no `onStep` of their own to hand a label to: records, the catalog,
 * pools, hooks, recovery.
 *
 * A label is said on a diagnostics channel of this process, right after the step it names. Tests listen there
 * and kill the process; where nobody listens, saying one costs a property access. Nothing may depend on being
 * heard, and a label is never said inside a catalog's transaction that another thread waits for.
 */
import { channel } from 'node:diagnostics_channel';

/** Messages are the labels: `record:written`. */
export const STEP_CHANNEL = 'ghostsnap:step';

const steps = channel(STEP_CHANNEL);

/** Says that a step is done. Never throws. */
export function sayStep(label: string): void {
  if (steps.hasSubscribers) steps.publish(label);
}
