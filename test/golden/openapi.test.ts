/** What is checked in is what the routes and schemas say: `npm run openapi` writes both again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openApiText } from '../../src/api/openapi.ts';
import { ROUTES } from '../../src/api/routes.ts';
import { serviceConfigText } from '../../src/daemon/service-config.ts';
import { problemsOfOpenApi } from './openapi-metaschema.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (...names: readonly string[]): string => readFileSync(join(ROOT, ...names), 'utf8');

describe('the published schemas', () => {
  it('have not drifted from the wire', () => {
    expect(read('openapi.json')).toBe(openApiText());
  });

  it('have not drifted from the configuration', () => {
    expect(read('schema', 'service.schema.json')).toBe(serviceConfigText());
  });

  it('are OpenAPI 3.1 by its own schema, and JSON Schema 2020-12 within', async () => {
    expect(await problemsOfOpenApi(JSON.parse(read('openapi.json')))).toEqual([]);
  });

  /** Each from its place in the text of the document to what takes that place. */
  it.each([
    ['another version', /not 3.1/, '"openapi": "3.1.0"', '"openapi": "3.0.3"'],
    ['no title', /'title'/, '"title": "ghostsnap service"', '"titel": "ghostsnap service"'],
    ['a field of a route that is none', /unevaluated/, '"summary": "Show a tool', '"sumary": "'],
    ['a parameter that is nowhere', /parameters/, '"in": "header"', '"in": "head"'],
    ['an answer without a description', /'description'/, '"default": {', '"default": {}, "x": {'],
    ['a type that is none', /type/, '"type": "boolean"', '"type": "bool"'],
    ['a bound that is none', /minLength/, '"minLength": 1', '"minLength": -1'],
  ])('are none with %s, and that is seen', async (_what, where, text, damaged) => {
    const document = read('openapi.json');
    expect(document).toContain(text);
    const problems = await problemsOfOpenApi(JSON.parse(document.replace(text, damaged)));
    expect(problems.join('\n')).toMatch(where);
  });

  it('refer to nothing that is not there, and leave no route out', () => {
    const document = JSON.parse(openApiText()) as {
      readonly paths: Record<string, Record<string, { readonly operationId: string }>>;
      readonly components: { readonly schemas: Record<string, unknown> };
    };
    const refs = [...openApiText().matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
      ([, name]) => name,
    );
    expect(refs.filter((name) => !((name ?? '') in document.components.schemas))).toEqual([]);
    const operations = Object.values(document.paths).flatMap((place) =>
      Object.values(place).map(({ operationId }) => operationId),
    );
    expect(operations.sort()).toEqual(ROUTES.map(({ operation }) => operation as string).sort());
  });
});
