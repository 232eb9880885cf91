/**
 * From a question as it came to the host's answer: the input is parsed, the host is asked.
 *
 * HTTP handlers and streams of frames meet here, so that neither has a check that the other lacks.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { CallContext } from '../service/call-context.ts';
import type { HostMethods, ServiceHost } from '../service/host.ts';
import type { Principal } from './principal.ts';
import {
  type FollowEventsInput,
  type InputOf,
  OPERATIONS,
  type OperationName,
  type OutputOf,
  STREAMS,
} from './schema/operations.ts';

export interface Question<Name extends OperationName> {
  readonly principal: Principal;
  readonly operation: Name;
  /** Parsed JSON from outside, nothing more. */
  readonly input: unknown;
  readonly context: CallContext;
}

/** @throws GhostsnapError BAD_ARGUMENT, and what the host throws */
export async function invoke<Name extends OperationName>(
  host: ServiceHost,
  question: Question<Name>,
): Promise<OutputOf<Name>> {
  const { principal, operation, context } = question;
  const input = parseInput(operation, question.input);
  const methods: HostMethods = host;
  return await methods[operation](principal, input, context);
}

/** @throws GhostsnapError BAD_ARGUMENT, naming every field that is wrong */
export function parseInput<Name extends OperationName>(name: Name, value: unknown): InputOf<Name> {
  const parsed = OPERATIONS[name].input.safeParse(value);
  if (!parsed.success) throw badInput(parsed.error.issues);
  return parsed.data as InputOf<Name>;
}

/** @throws GhostsnapError BAD_ARGUMENT */
export function parseFollowEvents(value: unknown): FollowEventsInput {
  const parsed = STREAMS.followEvents.input.safeParse(value);
  if (!parsed.success) throw badInput(parsed.error.issues);
  return parsed.data;
}

/** Problems that one answer names. */
const PROBLEMS_MAX = 16;

function badInput(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): GhostsnapError {
  const problems = issues.slice(0, PROBLEMS_MAX).map((issue) => {
    const pointer = issue.path.map((part) => `/${String(part)}`).join('');
    return `${pointer === '' ? '/' : pointer}: ${issue.message}`;
  });
  return new GhostsnapError('BAD_ARGUMENT', `The input is wrong: ${problems.join('; ')}.`, {
    hint: 'The document openapi.json of the service says what each operation takes.',
    data: { problems },
  });
}
