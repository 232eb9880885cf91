/** Descriptors of a deep tree: bounded, and none is lost when the way to a directory is gone. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { SimRandom } from '../sim/sim-random.ts';
import { run } from './sample-tree.ts';

const LEVELS = 300;
const NAME = 'n'.repeat(200);
let root: string;

/** By chdir: no path is longer than a call takes. */
function python(script: string): void {
  run('/usr/bin/python3', '-c', `import os, sys\nos.chdir(sys.argv[1])\n${script}`, root);
}

beforeAll(() => {
  root = join(mkdtempSync(join(tmpdir(), 'ghostsnap-fds-')), 'tree');
  mkdirSync(root);
  python(`for _ in range(${LEVELS}):\n  os.mkdir('${NAME}'); os.chdir('${NAME}')`);
});
afterAll(() => rmSync(join(root, '..'), { recursive: true, force: true }));

function pathOf(levels: number): RawPath {
  return Array.from({ length: levels }, () => NAME).join('/') as RawPath;
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('going down and up again holds a bounded number of descriptors and finds the same inodes', () => {
  const before = openDescriptors();
  {
    using tree = openDirectoryTree(root, 'live');
    const seen = new Map<number, number>();
    for (let level = 1; level <= LEVELS; level += 1) {
      tree.fds.open(pathOf(level));
      seen.set(level, tree.lookup(pathOf(level))?.ino ?? 0);
      expect(openDescriptors() - before).toBeLessThan(64);
    }
    for (let level = LEVELS; level >= 1; level -= 1) {
      tree.fds.open(pathOf(level));
      expect(tree.lookup(pathOf(level))?.ino).toBe(seen.get(level));
    }
  }
  expect(openDescriptors()).toBe(before);
});

test('jumping up and down finds the same inodes, and holds no more', () => {
  const before = openDescriptors();
  {
    using tree = openDirectoryTree(root, 'live');
    const seen = new Map<number, number>();
    const random = new SimRandom(7);
    for (let jump = 0; jump < 600; jump += 1) {
      const level = 1 + random.below(LEVELS);
      tree.fds.open(pathOf(level));
      const ino = tree.lookup(pathOf(level))?.ino ?? 0;
      expect(seen.get(level) ?? ino).toBe(ino);
      seen.set(level, ino);
      if (random.oneIn(20)) tree.fds.forget(pathOf(1 + random.below(level)));
      expect(openDescriptors() - before).toBeLessThan(64);
    }
    expect(new Set(seen.values()).size).toBe(seen.size);
  }
  expect(openDescriptors()).toBe(before);
});

test('a way that is gone half-way down is ENOENT and leaves no descriptor open', () => {
  const before = openDescriptors();
  {
    using tree = openDirectoryTree(root, 'live');
    tree.fds.open(pathOf(LEVELS));
    const descend = `for _ in range(40): os.chdir('${NAME}')\n`;
    python(`${descend}os.rename('${NAME}', 'aside')`);
    try {
      // Its descriptor was closed to stay below the bound, so it is opened from a landmark again.
      expect(() => tree.fds.open(pathOf(45))).toThrow('ENOENT');
    } finally {
      python(`${descend}os.rename('aside', '${NAME}')`);
    }
    expect(() => tree.fds.open(pathOf(45))).not.toThrow();
  }
  expect(openDescriptors()).toBe(before);
});
