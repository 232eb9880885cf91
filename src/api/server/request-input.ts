/**
 * The input of an operation, put together from where HTTP carries its fields: path, query, body.
 *
 * Each field comes by one way. A query has only text, so numbers and lists are read as the schema of the
 * operation wants them; what does not fit stays text, and the schema says what is wrong with it.
 */
import { z } from 'zod';
import { GhostsnapError } from '../../core/errors.ts';
import type { Route } from '../routes.ts';
import { OPERATIONS, STREAMS } from '../schema/operations.ts';

type FieldKind = 'number' | 'list' | 'boolean' | 'text';

const INTEGER = /^[0-9]{1,15}$/;

/** Of one route; made once. */
export function inputReader(
  route: Route,
): (parts: {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}) => unknown {
  const schema = { ...OPERATIONS, ...STREAMS }[route.operation].input;
  const kinds = kindsOf(schema);
  const inPath = new Set([...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ''));
  const takesQuery = route.method === 'GET' || route.method === 'DELETE';
  return ({ params, query, body }) => {
    if (takesQuery) refuseBody(body);
    const rest = takesQuery ? typed(fieldsOf(query), kinds) : bodyOf(query, body);
    for (const name of Object.keys(rest)) if (inPath.has(name)) throw twice(name);
    return { ...rest, ...fieldsOf(params) };
  };
}

function kindsOf(schema: z.ZodObject): ReadonlyMap<string, FieldKind> {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input' });
  return new Map(
    Object.entries(properties).map(([name, property]) => {
      const type = typeof property === 'object' ? property.type : undefined;
      if (type === 'integer' || type === 'number') return [name, 'number'];
      if (type === 'array') return [name, 'list'];
      return [name, type === 'boolean' ? 'boolean' : 'text'];
    }),
  );
}

function typed(
  query: Readonly<Record<string, unknown>>,
  kinds: ReadonlyMap<string, FieldKind>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, typedValue(value, kinds.get(name))]),
  );
}

function typedValue(value: unknown, kind: FieldKind | undefined): unknown {
  if (kind === 'list') return Array.isArray(value) ? value : [value];
  if (typeof value !== 'string') return value;
  if (kind === 'number' && INTEGER.test(value)) return Number(value);
  if (kind === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
  return value;
}

/** What nobody reads must not be believed to have been read. */
function refuseBody(body: unknown): void {
  const isNone = body === undefined || body === null || Object.keys(fieldsOf(body)).length === 0;
  if (isNone) return;
  throw new GhostsnapError('BAD_ARGUMENT', 'The body has fields, which belong in the query.', {
    hint: 'Send them as parameters of the query.',
  });
}

function bodyOf(query: unknown, body: unknown): Readonly<Record<string, unknown>> {
  const [extra] = Object.keys(fieldsOf(query));
  if (extra !== undefined) {
    throw new GhostsnapError(
      'BAD_ARGUMENT',
      `The query has "${extra}", which belongs in the body.`,
      {
        hint: 'Send the fields as a JSON object.',
      },
    );
  }
  if (body === undefined || body === null) return {};
  if (typeof body === 'object' && !Array.isArray(body)) return fieldsOf(body);
  throw new GhostsnapError('BAD_ARGUMENT', 'The body is not a JSON object.', {
    hint: 'Send the fields as a JSON object.',
  });
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function twice(name: string): GhostsnapError {
  return new GhostsnapError('BAD_ARGUMENT', `"${name}" is in the path and once more elsewhere.`, {
    hint: 'Leave it in the path alone.',
  });
}
