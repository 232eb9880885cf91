/** What the documents list is what the code has. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, ERROR_KINDS } from '../../src/core/errors.ts';

const ROOT = `${import.meta.dirname}/../..`;
const read = (path: string): string => readFileSync(`${ROOT}/${path}`, 'utf8');

describe('SPEC.md', () => {
  const spec = read('SPEC.md');

  test('lists every error code with its kind and exit status, and no other', () => {
    const rows = Object.entries(ERROR_CODES).map(
      ([code, kind]) => `| \`${code}\` | ${kind} | ${ERROR_KINDS[kind].exitCode} |`,
    );
    expect(rows.filter((row) => !spec.includes(row))).toEqual([]);
    const listed = [...spec.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
    expect(listed.filter((code) => !(String(code) in ERROR_CODES))).toEqual([]);
  });

  test('lists every event, and no other', () => {
    const source = read('src/core/event.ts');
    const types = [...source.matchAll(/readonly type: '([a-z.]+)'/g)].map(([, type]) => type);
    const listed = [
      ...spec.matchAll(
        /^\| `((?:workspace|snapshots?|turn|session|prompt|call|change)\.[a-z]+)` \|/gm,
      ),
    ].map(([, type]) => type);
    expect([...listed].sort()).toEqual([...types].sort());
  });
});

describe('the documents', () => {
  const documents = [...globSync('*.md', { cwd: ROOT }), ...globSync('docs/*.md', { cwd: ROOT })];

  test('link only to files that exist', () => {
    const dead = documents.flatMap((document) => {
      const folder = document.includes('/') ? 'docs/' : '';
      return [...read(document).matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
        .map(([, target]) => `${folder}${target}`)
        .filter((target) => !existsSync(`${ROOT}/${target}`))
        .map((target) => `${document}: ${target}`);
    });
    expect(dead).toEqual([]);
  });

  test('name only commands of package.json', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const unknown = documents.flatMap((document) =>
      [...read(document).matchAll(/npm run ([a-z:]+)/g)]
        .map(([, name]) => String(name))
        .filter((name) => !(name in scripts))
        .map((name) => `${document}: npm run ${name}`),
    );
    expect(unknown).toEqual([]);
  });
});
