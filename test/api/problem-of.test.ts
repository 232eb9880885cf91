import { expect, test } from 'vitest';
import { problemOf } from '../../src/api/problem-of.ts';
import { problem } from '../../src/api/schema/problem.ts';
import { ERROR_CODES, ERROR_KINDS, type ErrorCode, GhostsnapError } from '../../src/core/errors.ts';

test.each(Object.keys(ERROR_CODES) as ErrorCode[])('%s is a problem with its status', (code) => {
  const error = new GhostsnapError(code, 'It is so.', { hint: 'Do it.', data: { paths: ['a'] } });
  const { problem: body } = problemOf(error, '0af7651916cd43dd8448eb211c80319c');
  expect(problem.parse(body)).toEqual(body);
  expect(body).toMatchObject({ status: ERROR_KINDS[error.kind].httpStatus, code, hint: 'Do it.' });
});

test('when to come back is rounded up to seconds, and is no data', () => {
  const error = new GhostsnapError('TOO_MANY_REQUESTS', 'Too many.', {
    data: { retryAfterMs: 1001, tenant: 'acme' },
  });
  const answer = problemOf(error, undefined);
  expect(answer.retryAfterS).toBe(2);
  expect(answer.problem.data).toEqual({ tenant: 'acme' });
});

test('a defect says nothing of itself', () => {
  const { problem: body } = problemOf(new Error('secret: /home/me/.ssh'), undefined);
  expect(JSON.stringify(body)).not.toContain('secret');
  expect(body.status).toBe(500);
});
