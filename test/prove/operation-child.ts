/**
 * Does one operation of the public API between the injector's marks, and says how it ended.
 *
 * Argument: an `OperationRequest`. With `warm` the same is done first to another workspace, so that what
 * is loaded on first use is loaded before anything is made to fail. A step is whatever the operation says
 * between the marks: to its `onStep`, or on the channel of labelled steps.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';
import { STEP_CHANNEL } from '../../src/backend/labelled-step.ts';
import { type Environment, GhostsnapError, type TurnResult } from '../../src/index.ts';
import { mark } from './injector.ts';
import { type OperationCall, runOperation } from './operations.ts';

export interface OperationRequest {
  readonly environment: Environment;
  /** The workspace, or what becomes one. */
  readonly path: string;
  readonly call: OperationCall;
  /** Done before, on another workspace. */
  readonly warm?: { readonly path: string; readonly call: OperationCall };
  /** Kills itself at this labelled step, counted from 1. */
  readonly killAtStep?: number;
}

export interface OperationOutcome {
  readonly ok: boolean;
  readonly labels: readonly string[];
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Paths of which it says that something could not be given back. */
  readonly noted: readonly string[];
}

/** What is counted, and what is only done. */
class Marks {
  readonly labels: string[] = [];
  readonly #killAtStep: number | undefined;
  readonly #isCounted: boolean;
  #isOpen = false;

  constructor(counting: 'counted' | 'not-counted', killAtStep?: number) {
    this.#killAtStep = killAtStep;
    this.#isCounted = counting === 'counted';
  }

  readonly onStep = (label: unknown): void => {
    if (!this.#isOpen) return;
    this.labels.push(String(label));
    if (this.labels.length === this.#killAtStep) process.kill(process.pid, 'SIGKILL');
  };

  readonly begin = (): void => {
    if (!this.#isCounted) return;
    this.#isOpen = true;
    subscribe(STEP_CHANNEL, this.onStep);
    mark('begin');
  };

  readonly end = (): void => {
    if (!this.#isOpen) return;
    mark('end');
    unsubscribe(STEP_CHANNEL, this.onStep);
    this.#isOpen = false;
  };
}

async function outcomeOf(
  request: OperationRequest,
  counting: 'counted' | 'not-counted',
): Promise<OperationOutcome> {
  const marks = new Marks(counting, request.killAtStep);
  const { environment, path, call } = request;
  try {
    const result = await runOperation(call, { environment, path, ...marks });
    return { ok: true, labels: marks.labels, error: null, noted: notedIn(result) };
  } catch (error) {
    const { labels } = marks;
    const noted: readonly string[] = [];
    if (error instanceof GhostsnapError) {
      return { ok: false, labels, noted, error: { code: error.code, message: error.message } };
    }
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ok: false, labels, noted, error: { code: 'not a GhostsnapError', message } };
  } finally {
    marks.end();
  }
}

function notedIn(result: unknown): readonly string[] {
  if (typeof result !== 'object' || result === null || !('notes' in result)) return [];
  return (result.notes as TurnResult['notes']).map(({ path }) => path);
}

const request = JSON.parse(process.argv[2] ?? '{}') as OperationRequest;
if (request.warm !== undefined) {
  const { warm, environment } = request;
  // Whether there was anything to do on it matters to nobody: what it needs is loaded afterwards.
  await outcomeOf({ environment, path: warm.path, call: warm.call }, 'not-counted');
}
writeSync(1, `${JSON.stringify(await outcomeOf(request, 'counted'))}\n`);
