/**
 * `node bench/peak-memory.ts [FILES]`: the largest resident set of each walk of a store, against the size
 * of the tree.
 *
 * Each operation is a process of its own, on a tree of FILES files and on one of a tenth of it: what grows
 * with the tree is the difference. The trees lie in the system's temporary folder.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { makePlace } from './place.ts';
import { makeFiles } from './tree.ts';

const FILES = Number(process.argv[2] ?? 100_000);
const CHILD = join(import.meta.dirname, 'child', 'peak-memory.ts');
const BEFORE = ['init', 'snapshot', 'diff'] as const;
/** After every file was changed. */
const AFTER = ['diff', 'snapshot', 'diff-snapshots', 'rollback'] as const;

await using place = await makePlace({ btrfsMiB: 0 });
const small = peaksOf(FILES / 10);
const large = peaksOf(FILES);
console.log(`| operation | ${FILES / 10} files, MiB | ${FILES} files, MiB | bytes a file more |`);
console.log('|---|---|---|---|');
for (const [what, kib] of large) {
  const before = small.get(what) ?? 0;
  const each = Math.round(((kib - before) * 1024) / (FILES * 0.9));
  console.log(`| ${what} | ${mib(before)} | ${mib(kib)} | ${each} |`);
}

function mib(kib: number): number {
  return Math.round(kib / 1024);
}

function peaksOf(files: number): Map<string, number> {
  const root = place.makeDirectory(place.plain, `tree-${files}`);
  makeFiles(root, files);
  const peaks = new Map<string, number>();
  const measure = (op: string, state: string): void => {
    const { environment } = place;
    const request = JSON.stringify({ op, environment, path: root });
    const said = execFileSync(process.execPath, [CHILD, request], { encoding: 'utf8' });
    peaks.set(`${op}, ${state}`, Number(said));
  };
  for (const op of BEFORE) measure(op, 'nothing changed');
  execFileSync('find', [root, '-type', 'f', '-exec', 'sed', '-i', 's/itself/_tself/', '{}', '+']);
  for (const op of AFTER) measure(op, 'everything changed');
  return peaks;
}
