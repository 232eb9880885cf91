/** What is checked in is what the routes and schemas say: `npm run openapi` writes both again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openApiText } from '../../src/api/openapi.ts';
import { ROUTES } from '../../src/api/routes.ts';
import { serviceConfigText } from '../../src/daemon/service-config.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (...names: readonly string[]): string => readFileSync(join(ROOT, ...names), 'utf8');

describe('the published schemas', () => {
  it('have not drifted from the wire', () => {
    expect(read('openapi.json')).toBe(openApiText());
  });

  it('have not drifted from the configuration', () => {
    expect(read('schema', 'service.schema.json')).toBe(serviceConfigText());
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
