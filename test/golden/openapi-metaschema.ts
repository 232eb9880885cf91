/**
 * What is wrong with an OpenAPI 3.1 document, by the published metaschemas.
 *
 * OpenAPI's own schema says what a document is but not what a schema in it is, which is JSON Schema
 * 2020-12: each is judged by its own.
 */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';

type Json = Record<string, unknown>;

/** @returns a line each; empty: it is a document of OpenAPI 3.1 */
export async function problemsOfOpenApi(document: Json): Promise<readonly string[]> {
  const validator = new Validator();
  // A copy: the validator writes into what it is given.
  const { errors = [] } = await validator.validate(structuredClone(document));
  const own = typeof errors === 'string' ? [errors] : errors.map(lineOf);
  // It takes the schema of whatever version the document says it is.
  if (validator.version !== '3.1') own.push(`/openapi: it is ${validator.version}, not 3.1`);
  return [...own, ...problemsOfSchemas(document)];
}

function problemsOfSchemas(document: Json): readonly string[] {
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  return schemasIn(document).flatMap(({ at, schema }) =>
    ajv.validateSchema(schema) === true
      ? []
      : (ajv.errors ?? []).map((error) => `${at}${lineOf(error)}`),
  );
}

function lineOf(error: { readonly instancePath: string; readonly message?: string }): string {
  return `${error.instancePath}: ${error.message ?? 'it is wrong'}`;
}

interface Schema {
  /** A JSON pointer. */
  readonly at: string;
  readonly schema: Json;
}

/** Those of parameters and contents, below `schema`, and the named ones. */
function schemasIn(document: Json): readonly Schema[] {
  const { components, ...rest } = document;
  const { schemas, ...others } = components as Json & { readonly schemas: Json };
  const named = Object.entries(schemas).map(([name, schema]) => ({
    ...{ at: `/components/schemas/${name}`, schema: schema as Json },
  }));
  return [...named, ...schemasBelow(rest, ''), ...schemasBelow(others, '/components')];
}

function schemasBelow(value: unknown, at: string): readonly Schema[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, below]) => {
    const place = `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return key === 'schema' ? { at: place, schema: below as Json } : schemasBelow(below, place);
  });
}
