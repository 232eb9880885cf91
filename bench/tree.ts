/**
 * Trees to measure on: many small files in directories of a hundred, as a node_modules has them.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FILES_PER_DIRECTORY = 100;
/** Bytes of a file: 2 KB is the median of a real node_modules. */
const FILE_BYTES = 2048;

/** Makes `count` files below `root`, each with its own content. Returns their relative paths. */
export function makeFiles(root: string, count: number): string[] {
  const paths: string[] = [];
  const content = Buffer.alloc(FILE_BYTES, 'ghostsnap measures itself. ');
  for (let i = 0; i < count; i += 1) {
    const directory = `d${Math.floor(i / FILES_PER_DIRECTORY)}`;
    if (i % FILES_PER_DIRECTORY === 0) mkdirSync(join(root, directory), { recursive: true });
    content.write(`${i} `.padEnd(12), 0);
    const path = `${directory}/f${i % FILES_PER_DIRECTORY}.js`;
    writeFileSync(join(root, path), content);
    paths.push(path);
  }
  return paths;
}

let edits = 0;

/** Overwrites one file with other content of about the same size. */
export function editFile(root: string, path: string): void {
  edits += 1;
  writeFileSync(join(root, path), `edit ${edits} `.repeat(FILE_BYTES / 10));
}

/** Everything below `root`, which itself stays: `rm -rf root/*`. */
export function wipe(root: string): void {
  for (const name of readdirSync(root)) rmSync(join(root, name), { recursive: true });
}
