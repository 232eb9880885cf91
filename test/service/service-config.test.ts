import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadServiceConfig } from '../../src/daemon/service-config.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ghostsnap-config-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function load(config: unknown): unknown {
  const file = join(directory, 'service.json');
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config));
  return loadServiceConfig({ data: directory, config: directory }, file);
}

it('lists every error of the file at once', () => {
  const config = { format: 2, socket: 'relative', pools: [], arming: 'maybe', unknown: 1 };
  expect(() => load(config)).toThrow(
    expect.objectContaining({
      code: 'BAD_CONFIG',
      message: expect.stringMatching(/\/format.*\/socket.*\/pools.*\/arming.*unknown/s),
    }),
  );
});

it('lists what is missing on this machine', () => {
  const listen = {
    port: 1,
    certificate: '/no/c',
    key: '/no/k',
    clientCa: '/no/a',
    access: '/no/p',
  };
  const config = { format: 1, pools: ['gone'], adoptBelow: ['/no/where'], listen };
  const problems = [...['no pool gone', '/no/where', '/no/c', '/no/k', '/no/a', '/no/p']];
  for (const problem of problems) expect(() => load(config)).toThrow(problem);
});

it('says where a file is no JSON', () => {
  expect(() => load('{"format": 1,')).toThrow(/service.json/);
});
