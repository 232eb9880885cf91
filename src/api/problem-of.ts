/** From an error to what travels: a problem's status, body and when to come back. */
import { ERROR_KINDS, GhostsnapError } from '../core/errors.ts';
import type { Problem } from './schema/problem.ts';

export interface ProblemAnswer {
  readonly problem: Problem;
  /** Whole seconds for `Retry-After`; null: nothing is known. */
  readonly retryAfterS: number | null;
}

/**
 * Only a GhostsnapError says what it says; of anything else, a defect, nothing leaves the process but
 * that it happened and where to look.
 * @param trace the id to look for in logs
 */
export function problemOf(error: unknown, trace: string | undefined): ProblemAnswer {
  const known = error instanceof GhostsnapError ? error : defect(error);
  const { code, kind, message, hint, data } = known;
  const { httpStatus: status, retryable } = ERROR_KINDS[kind];
  const { retryAfterMs, ...rest } = data;
  const problem = {
    type: `urn:ghostsnap:error:${code}`,
    title: TITLES[kind],
    ...{ status, detail: message, code, kind, retryable },
    ...(hint === undefined ? {} : { hint }),
    data: Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, plain(value)])),
    ...(trace === undefined ? {} : { trace }),
  };
  const retryAfterS = typeof retryAfterMs === 'number' ? Math.ceil(retryAfterMs / 1000) : null;
  return { problem, retryAfterS };
}

const TITLES = {
  usage: 'The request is wrong',
  'not-found': 'Not found',
  conflict: 'In conflict with what is there',
  denied: 'Not allowed',
  limit: 'No room',
  throttled: 'Too many requests',
  unsupported: 'Not possible here',
  transient: 'Not now',
  corrupt: 'Damaged',
  io: 'Failed',
} as const satisfies Record<GhostsnapError['kind'], string>;

function defect(cause: unknown): GhostsnapError {
  return new GhostsnapError('IO', 'The service failed in a way it does not know.', {
    hint: "Look for the trace in the service's log.",
    cause,
  });
}

function plain(value: GhostsnapError['data'][string]): Problem['data'][string] {
  return typeof value === 'object' ? [...value] : value;
}
