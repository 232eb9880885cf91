/**
 * What the store holds in memory while it works does not grow with the tree, nor with how much of it
 * changed: a rollback is needed most when everything is gone.
 *
 * Measured as what a full collection leaves of the JavaScript heap (`live-memory-child.ts`), on a tree and
 * on a larger one, both larger than what is held of them on purpose.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

/** More than the entries that a tree of a snapshot holds (8,192). */
const FILES = 9000;
const FILES_MORE = 6000;
/** A path that is kept would be more than a hundred; a directory may keep some hundreds. */
const BYTES_A_FILE = 80;

const OPS = [
  'first snapshot',
  'snapshot of what changed',
  'diff',
  'rollback of what changed',
  'rollback after a wipe',
] as const;

type Peaks = Readonly<Record<(typeof OPS)[number], { heapBytes: number; measured: number }>>;

function peaksOf(files: number): Peaks {
  const child = join(import.meta.dirname, 'live-memory-child.ts');
  const argv = ['--expose-gc', child, String(files)];
  return JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' })) as Peaks;
}

let small: Peaks;
let large: Peaks;

beforeAll(() => {
  small = peaksOf(FILES);
  large = peaksOf(FILES + FILES_MORE);
}, 600_000);

test.each(OPS)('the %s holds no more of a larger tree', (op) => {
  expect(large[op].measured).toBeGreaterThan(2);
  expect((large[op].heapBytes - small[op].heapBytes) / FILES_MORE).toBeLessThan(BYTES_A_FILE);
});
