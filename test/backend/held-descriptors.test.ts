/**
 * What is opened and then cannot be looked at is closed again: a service that meets a failing or full disk a
 * thousand times would run out of descriptors otherwise.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Injector } from '../prove/injector.ts';
import type { OpeningOutcome, OpeningRequest } from './held-descriptors-child.ts';

const CHILD = join(import.meta.dirname, 'held-descriptors-child.ts');

let injector: Injector;
let path: string;

beforeAll(() => {
  injector = new Injector();
  path = mkdtempSync(join(tmpdir(), 'ghostsnap-held-'));
  for (const name of ['below', 'objects', 'working']) mkdirSync(join(path, name));
});

afterAll(() => {
  injector[Symbol.dispose]();
  rmSync(path, { recursive: true });
});

it.each<OpeningRequest['opening']>([
  'a tree',
  'a lock file',
  'the lock of objects',
  'the lock of objects, at once',
  'a transaction',
])('%s: no descriptor is left, whichever of its system calls fails', async (opening) => {
  let failures = 0;
  for (let nth = 1; ; nth += 1) {
    const fail = { mode: 'fail', nth, class: 'any', errno: 'EIO' } as const;
    const request: OpeningRequest = { opening, path };
    const { stdout, stderr, hit } = await injector.run(fail, CHILD, request);
    expect(stderr).toBe('');
    const { held, failed } = JSON.parse(stdout) as OpeningOutcome;
    expect({ nth, hit, held }).toEqual({ nth, hit, held: [] });
    if (hit === null) break;
    if (failed) failures += 1;
  }
  expect(failures).toBeGreaterThan(1);
});
