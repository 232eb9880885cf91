import { describe, expect, test } from 'vitest';
import { parseInput } from '../../src/api/invoke.ts';
import { ROUTES } from '../../src/api/routes.ts';
import { OPERATIONS, type OperationName, STREAMS } from '../../src/api/schema/operations.ts';

const SCHEMAS = { ...OPERATIONS, ...STREAMS };

describe('the table of routes', () => {
  test('has each operation once', () => {
    const routed = ROUTES.map(({ operation }) => operation).sort();
    expect(routed).toEqual(Object.keys(SCHEMAS).sort());
  });

  test('has each method and path once', () => {
    const places = ROUTES.map(
      ({ method, path }) => `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`,
    );
    expect(new Set(places).size).toBe(places.length);
  });

  test.each(ROUTES)('$method $path takes its parameters from the input', ({ path, operation }) => {
    const fields = Object.keys(SCHEMAS[operation].input.shape);
    const parameters = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    expect(fields).toEqual(expect.arrayContaining(parameters));
  });

  test('lets readers only look', () => {
    for (const { effect, roles, method } of ROUTES) {
      if (effect === 'mutates') expect(roles).not.toContain('reader');
      expect(effect === 'reads').toBe(method === 'GET');
    }
  });
});

describe('parseInput()', () => {
  const workspace = 'ws_01J9Z3K4M5N6P7Q8R9S0T1V2W3';

  test('fills in what may be left out', () => {
    expect(parseInput('rollback', { workspace, target: '@' })).toEqual({
      workspace,
      target: '@',
      mode: 'auto',
    });
  });

  test('names every field that is wrong', () => {
    const parse = () => parseInput('rollback', { workspace: 'ws_1', target: '', extra: 1 });
    expect(parse).toThrow(/\/workspace.*\/target.*extra/s);
    expect(parse).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
  });

  test.each(Object.keys(OPERATIONS) as OperationName[])('%s refuses an unknown field', (name) => {
    expect(() => parseInput(name, { nobodyKnows: true })).toThrow(/nobodyKnows/);
  });

  test('refuses a name with a control character or half a character', () => {
    const begin = { workspace, harness: 'h', tool: 'Bash', key: 'k' };
    for (const session of ['a\u001b[31m', 'a\nb', '\ud800']) {
      expect(() => parseInput('beginCall', { ...begin, session })).toThrow(/\/session/);
    }
  });
});
