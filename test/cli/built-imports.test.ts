/**
 * What the compiler makes of dynamic imports. It forgets to rewrite `import('./x.ts')` to `./x.js`
 * in a function that it transforms for `using`: the sources work, the built program does not.
 */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const BUNDLE = fileURLToPath(new URL('../../dist/program/', import.meta.url));
/** The bundler says before each source which it is. */
const WORKER_SOURCE = /^\/\/ src\/.*?([^/]+-worker)\.ts$/gm;
const SOURCES = fileURLToPath(new URL('../../src/', import.meta.url));

function builtText(source: string, fileName: string): string {
  return ts.transpileModule(source, {
    fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ES2024,
      module: ts.ModuleKind.NodeNext,
      rewriteRelativeImportExtensions: true,
    },
  }).outputText;
}

const SOURCE_IMPORT = /import\((['"])\.[^'"]*\.ts\1\)/g;

describe('the built program', () => {
  it('imports no source file', () => {
    const files = globSync('**/*.ts', { cwd: SOURCES }).map((name) => `${SOURCES}${name}`);
    const lazy = files.filter((file) => readFileSync(file, 'utf8').includes('import('));
    expect(lazy.length).toBeGreaterThan(5);
    const wrong = lazy.flatMap((file) =>
      [...builtText(readFileSync(file, 'utf8'), file).matchAll(SOURCE_IMPORT)].map(
        ([text]) => `${file}: ${text}`,
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('keeps each worker in a file of its own: in one that others load it would take their messages', () => {
    const files = globSync('*.js', { cwd: BUNDLE });
    const found = files.flatMap((file) =>
      [...readFileSync(`${BUNDLE}${file}`, 'utf8').matchAll(WORKER_SOURCE)].map(
        ([, name = '']) => ({ file, name }),
      ),
    );
    expect(found.length).toBeGreaterThan(3);
    for (const { file, name } of found) expect(file).toBe(`${name}.js`);
  });
});
