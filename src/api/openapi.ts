/**
 * The OpenAPI 3.1 document, made from the routes and the schemas: nothing in it is written twice.
 *
 * `openapi.json` in the repository is this text for the checked-in version; a test compares them, so that
 * no change of the wire goes unseen.
 */
import { z } from 'zod';
import { ROUTES, type Route } from './routes.ts';
import { OPERATIONS, STREAMS } from './schema/operations.ts';
import { problem } from './schema/problem.ts';

type Json = Record<string, unknown>;

const COMPONENTS = '#/components/schemas/';

/** Of the wire, not of the package: it moves when the wire does. */
const API_VERSION = '1.0.0';

export function openApiText(): string {
  return `${JSON.stringify(openApiDocument(), null, 2)}\n`;
}

function openApiDocument(): Json {
  const schemas: Json = {};
  const paths: Record<string, Json> = {};
  for (const route of ROUTES) {
    const place = paths[route.path] ?? {};
    place[route.method.toLowerCase()] = operationOf(route, schemas);
    paths[route.path] = place;
  }
  jsonSchema(problem, schemas, 'output');
  return {
    openapi: '3.1.0',
    info: {
      title: 'ghostsnap service',
      version: API_VERSION,
      description:
        'Copy-on-write snapshots before every tool call of an agent, and instant rollback. ' +
        'Errors are problem details (RFC 9457) with a stable code.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: { mutualTLS: { type: 'mutualTLS' } },
    },
    security: [{ mutualTLS: [] }],
  };
}

function operationOf(route: Route, schemas: Json): Json {
  const { operation, method, status, summary, effect, roles } = route;
  const isStream = operation === 'followEvents';
  const { input } = { ...OPERATIONS, ...STREAMS }[operation];
  const fields = jsonSchema(input, schemas, 'input');
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
  const rest = Object.keys(propertiesOf(fields)).filter((name) => !inPath.includes(name));
  const takesQuery = method === 'GET' || method === 'DELETE';
  const parameters = [
    ...inPath.map((name) => parameter('path', name, fields)),
    ...(takesQuery ? rest.map((name) => parameter('query', name, fields)) : []),
    ...(effect === 'mutates' ? [IDEMPOTENCY_KEY] : []),
    ...(isStream ? [LAST_EVENT_ID] : [TIMEOUT]),
  ];
  const body = takesQuery || rest.length === 0 ? {} : { requestBody: bodyOf(fields, rest) };
  return {
    operationId: operation,
    summary,
    description: `For the roles: ${roles.join(', ')}.`,
    parameters,
    ...body,
    responses: { [status]: answerOf(route, schemas), default: PROBLEM },
  };
}

const IDEMPOTENCY_KEY: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  required: true,
  description:
    'New for each change, the same when it is repeated: the first answer is given again.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};

const TIMEOUT: Json = {
  name: 'Ghostsnap-Timeout-Ms',
  in: 'header',
  description: 'Milliseconds that the caller still waits.',
  schema: { type: 'integer', minimum: 0 },
};

const LAST_EVENT_ID: Json = {
  name: 'Last-Event-ID',
  in: 'header',
  description: 'The sequence of the last event that was seen; takes the place of `after`.',
  schema: { type: 'integer', minimum: 0 },
};

const PROBLEM: Json = {
  description: 'What went wrong. 429 and 503 say in Retry-After when to come back.',
  content: { 'application/problem+json': { schema: { $ref: `${COMPONENTS}Problem` } } },
};

function answerOf(route: Route, schemas: Json): Json {
  if (route.operation === 'followEvents') {
    jsonSchema(STREAMS.followEvents.item, schemas, 'output');
    return {
      description: 'Server-sent events; `data` of each is an Event, `id` its sequence.',
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    };
  }
  const schema = jsonSchema(OPERATIONS[route.operation].output, schemas, 'output');
  return { description: route.summary, content: { 'application/json': { schema } } };
}

function parameter(where: 'path' | 'query', name: string, fields: Json): Json {
  const required = where === 'path' || requiredOf(fields).includes(name);
  return { name, in: where, required, schema: propertiesOf(fields)[name] };
}

function bodyOf(fields: Json, names: readonly string[]): Json {
  const required = requiredOf(fields).filter((name) => names.includes(name));
  const properties = Object.fromEntries(names.map((name) => [name, propertiesOf(fields)[name]]));
  const schema = {
    ...{ type: 'object', properties, additionalProperties: false },
    ...(required.length === 0 ? {} : { required }),
  };
  return { required: required.length > 0, content: { 'application/json': { schema } } };
}

function propertiesOf(schema: Json): Json {
  return (schema.properties ?? {}) as Json;
}

function requiredOf(schema: Json): readonly string[] {
  return (schema.required ?? []) as readonly string[];
}

/** Schemas with a name become components, and what is given refers to them. */
function jsonSchema(schema: z.ZodType, schemas: Json, io: 'input' | 'output'): Json {
  const made = z.toJSONSchema(schema, { io, reused: 'inline' }) as Json;
  const { $schema: _dialect, $defs = {}, id, ...rest } = made;
  for (const [name, definition] of Object.entries($defs as Record<string, Json>)) {
    const { id: _id, ...named } = definition;
    schemas[name] = referring(named);
  }
  if (typeof id !== 'string') return referring(rest) as Json;
  schemas[id] = referring(rest);
  return { $ref: `${COMPONENTS}${id}` };
}

/** A definition beside a schema is a component of the document. */
function referring(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(referring);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key !== '$ref' || typeof inner !== 'string') return [key, referring(inner)];
      return [key, inner.replace(/^#\/\$defs\//, COMPONENTS)];
    }),
  );
}
