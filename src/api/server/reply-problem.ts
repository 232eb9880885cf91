/** Errors of a request, as they leave: problem details, and when to come back. */
import type { FastifyReply } from 'fastify';
import { GhostsnapError } from '../../core/errors.ts';
import type { HeadRefusal } from '../door/request-head.ts';
import { problemOf } from '../problem-of.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** @param status in place of the kind's own, where HTTP has a better one */
export function replyProblem(
  reply: FastifyReply,
  error: unknown,
  about: { readonly trace: string | undefined; readonly status?: number | undefined },
): FastifyReply {
  const { problem, retryAfterS } = problemOf(error, about.trace);
  const status = about.status ?? problem.status;
  if (retryAfterS !== null) reply.header('retry-after', retryAfterS);
  // Fastify asks for it behind a body that it does not know; in HTTP/2 there is no such header.
  if (reply.raw.req.httpVersionMajor === 2) reply.removeHeader('connection');
  // As bytes: fastify would add a charset, which this type has not.
  return reply
    .code(status)
    .header('content-type', PROBLEM_TYPE)
    .send(Buffer.from(JSON.stringify({ ...problem, status })));
}

export function refusedHead({ why }: HeadRefusal): GhostsnapError {
  return new GhostsnapError('BAD_ARGUMENT', `The request was refused: ${why}.`, {
    hint: 'Nothing was done.',
  });
}

/** Fastify's own errors are about bodies: too long, of another type, cut off. */
export function ofFastify(error: Error & { readonly statusCode?: number }): {
  readonly error: GhostsnapError;
  readonly status: number;
} | null {
  const { statusCode, message } = error;
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return null;
  const known = new GhostsnapError('BAD_ARGUMENT', `The request was refused: ${message}.`, {
    hint: 'Nothing was done.',
    cause: error,
  });
  return { error: known, status: statusCode };
}
