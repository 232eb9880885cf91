/** What an answer of the service may be, whatever it was asked. */
import { ROUTES } from '../../src/api/routes.ts';
import { OPERATIONS } from '../../src/api/schema/operations.ts';
import { problem } from '../../src/api/schema/problem.ts';

export interface ServiceAnswer {
  readonly status: number;
  readonly contentType: string;
  /** null: a stream without an end, which was left. */
  readonly body: string | null;
}

/** What may have happened to the catalog. */
export type Effect = 'none' | 'possible';

export interface Judged {
  readonly effect: Effect;
  /** null: every promise was kept. */
  readonly broken: string | null;
}

const PATTERNS = ROUTES.map((route) => ({
  route,
  pattern: new RegExp(`^${route.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
}));

/** Codes that leave open whether it was begun. */
const UNDECIDED = new Set(['DEADLINE_EXCEEDED', 'INTERRUPTED']);

/** @param asked method and path, as they were sent */
export function judgeAnswer(answer: ServiceAnswer, asked: string): Judged {
  const { status, contentType, body } = answer;
  if (status >= 400) return judgeProblem({ status, contentType, body: body ?? '' });
  if (status < 200 || status > 299) return broken(`status ${status}`);
  const [method = '', target = ''] = asked.split(' ');
  const path = target.split(/[?#]/)[0] ?? '';
  const found = PATTERNS.find(
    ({ route, pattern }) => route.method === method && pattern.test(path),
  );
  if (found === undefined) return { effect: 'none', broken: null };
  const effect = found.route.effect === 'mutates' ? 'possible' : 'none';
  if (body === null) return { effect, broken: null };
  return judgeOutput(found.route.operation, body, effect);
}

export function judgeOutput(operation: string, body: string, effect: Effect): Judged {
  const schema = OPERATIONS[operation as keyof typeof OPERATIONS]?.output;
  const parsed = schema?.safeParse(jsonOf(body));
  if (parsed === undefined || parsed.success) return { effect, broken: null };
  return broken(`the answer of ${operation} is not as its schema says: ${parsed.error.message}`);
}

export function judgeProblem({
  status,
  contentType,
  body,
}: ServiceAnswer & { body: string }): Judged {
  if (contentType !== 'application/problem+json') {
    return broken(`a refusal with ${status} of type "${contentType}": ${body.slice(0, 200)}`);
  }
  const parsed = problem.safeParse(jsonOf(body));
  if (!parsed.success)
    return broken(`a refusal that is no problem document: ${body.slice(0, 300)}`);
  if (parsed.data.status !== status) return broken(`a problem that says another status: ${body}`);
  // What a caller sends is never the service's failure.
  if (status === 500) return broken(`a failure: ${body}`);
  return { effect: UNDECIDED.has(parsed.data.code) ? 'possible' : 'none', broken: null };
}

function broken(what: string): Judged {
  return { effect: 'possible', broken: what };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
