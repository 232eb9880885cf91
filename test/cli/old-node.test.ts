import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const PROGRAM = readFileSync(
  fileURLToPath(new URL('../../bin/ghostsnap.js', import.meta.url)),
  'utf8',
).replace(/^#!.*/, '');

it('an old Node is told what to do, and nothing else is started', () => {
  let said = '';
  const statuses: number[] = [];
  const oldProcess = {
    version: 'v18.0.0',
    versions: { node: '18.0.0' },
    execPath: '/usr/bin/node',
    stderr: { write: (text: string) => (said += text) },
    exit: (status: number) => statuses.push(status),
  };
  new Function('process', PROGRAM)(oldProcess);
  expect(statuses).toEqual([69]);
  expect(said).toContain('Node.js 24 or newer is needed, not v18.0.0 at /usr/bin/node\n');
});

it('the start file is written in a syntax that an old Node can parse', () => {
  // Compiling for an old target rewrites what that target does not have; here nothing may change.
  const options = { target: ts.ScriptTarget.ES2018, module: ts.ModuleKind.ES2020 };
  const { outputText } = ts.transpileModule(PROGRAM, { compilerOptions: options });
  const tokens = (text: string): string => text.replaceAll(/\/\/.*$|[\s;]/gm, '');
  expect(tokens(outputText)).toContain(tokens("import('../dist/program/main.js')"));
  expect(tokens(outputText)).not.toContain('void0');
});
