/**
 * A process of its own that calls the backend, so that a test can drop its privileges or kill it.
 *
 * Reads a `ChildRequest` from its first argument, makes the calls in order and prints one JSON line: the
 * results, or the error of the first call that failed. At `killAt` it kills itself with SIGKILL, which
 * nothing in it can notice.
 */
import { writeSync } from 'node:fs';
import { createBtrfsBackend } from '../../src/backend/btrfs/btrfs-backend.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { ChildCall, ChildRequest } from './run-btrfs-child.ts';

const request: ChildRequest = JSON.parse(process.argv[2] ?? '');
const labels: string[] = [];

function onStep(label: string): void {
  labels.push(label);
  if (label === request.killAt) process.kill(process.pid, 'SIGKILL');
}

/** The methods that take options last, with the number of arguments before them. */
const OPTIONS_AT: Readonly<Record<string, number>> = {
  initWorkspace: 1,
  moveIntoPool: 1,
  deleteSnapshots: 2,
  swapIn: 3,
  applyInPlace: 2,
  releaseWorkspace: 1,
};

async function call({ method, args = [] }: ChildCall): Promise<unknown> {
  const at = OPTIONS_AT[method];
  const given: unknown[] = [request.ref, ...args];
  if (at !== undefined) {
    const options = given[at];
    given[at] = { ...(typeof options === 'object' ? options : {}), onStep };
  }
  const [part, of] = method.startsWith('arming.') ? [method.slice(7), api.arming] : [method, api];
  const found = Reflect.get(of ?? {}, part);
  const result: unknown = await Reflect.apply(found, of, given);
  if (typeof result === 'object' && result !== null && Symbol.asyncIterator in result) {
    const all: unknown[] = [];
    for await (const one of result as AsyncIterable<unknown>) all.push(one);
    return all;
  }
  return result;
}

function print(value: unknown): void {
  const replace = (_: string, part: unknown): unknown =>
    typeof part === 'bigint' ? `${part}` : part;
  writeSync(1, `${JSON.stringify(value, replace)}\n`);
}

await using api = createBtrfsBackend();
const results: unknown[] = [];
try {
  for (const one of request.calls) results.push(await call(one));
  print({ results, labels });
} catch (error) {
  if (!(error instanceof GhostsnapError)) throw error;
  print({ results, labels, error: error.toJSON() });
}
