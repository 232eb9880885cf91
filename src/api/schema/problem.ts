/**
 * Errors on the wire: RFC 9457 problem details, `application/problem+json`.
 *
 * `code` is stable and what a program decides on; `type` is a URI of it. `kind` says what may be done.
 */
import { z } from 'zod';
import { ERROR_CODES, ERROR_KINDS, type ErrorCode, type ErrorKind } from '../../core/errors.ts';

export const problem = z
  .strictObject({
    type: z.string().describe('urn:ghostsnap:error:<code>'),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
    code: z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]),
    kind: z.enum(Object.keys(ERROR_KINDS) as [ErrorKind, ...ErrorKind[]]),
    /** The same request may succeed later; not before `Retry-After` where that is given. */
    retryable: z.boolean(),
    hint: z.string().optional(),
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
    /** To be found in the service's logs and traces. */
    trace: z.string().optional(),
  })
  .meta({ id: 'Problem' });

export type Problem = z.output<typeof problem>;
