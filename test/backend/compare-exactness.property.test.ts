/**
 * Random trees and random changes: what is compared is exact, and hints lose nothing.
 *
 * The independent listing is the judge: a path is in the comparison exactly when its line differs, and a
 * tree that is turned by candidates that hold every change has the lines of its source.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PathSet } from '../../src/backend/path-set.ts';
import { parseDisplayPath, type RawPath } from '../../src/core/raw-path.ts';
import { assertSameTree, digestTree } from '../checker/tree-digest.ts';
import { type ModelTree, makeTree } from '../model/model-tree.ts';
import { absorbTimes, runOnDirectory, runOnModel } from '../model/operation.ts';
import {
  type Intent,
  intentArbitrary,
  resolveIntent,
  resolveTurn,
} from '../model/operation-arbitrary.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';
import { changesFrom, turn } from './run-apply.ts';
import { copyAside } from './sample-tree.ts';

const ROOT_ACTOR = { canChown: true };

function perform(root: string, model: ModelTree, intents: readonly Intent[]): void {
  for (const intent of intents) {
    const operation = resolveIntent(model, intent, ROOT_ACTOR);
    if (operation === null) continue;
    const second = resolveTurn(intent, operation.path);
    for (const one of second === null ? [operation] : [operation, second]) {
      runOnModel(model, one);
      runOnDirectory(root, one);
    }
  }
  absorbTimes(model, root);
}

/** Each path with what its line says, hard links named by their group's first path. */
function linesByPath(root: string): Map<string, string> {
  const lines = digestTree(root).lines.map((line) => {
    const fields = line.split('\t');
    const [path = '', links = '-'] = [fields[0], fields[7]];
    fields[7] = links === '-' ? path : links.replace(/\*\d+$/, '');
    return [path, fields.join('\t')] as const;
  });
  return new Map(lines);
}

function differingPaths(a: string, b: string): RawPath[] {
  const [left, right] = [linesByPath(a), linesByPath(b)];
  const all = new Set([...left.keys(), ...right.keys()]);
  return [...all]
    .filter((path) => left.get(path) !== right.get(path))
    .map((path) => (path === '.' ? '' : parseDisplayPath(path)) as RawPath)
    .sort();
}

describe.each(['btrfs', 'xfs', 'ext4'] as const)('random changes on %s', (fs) => {
  let image: LoopImage;
  let source: string;
  let live: string;

  beforeAll(async () => {
    image = await makeLoopImage({ fs, sizeMiB: fs === 'xfs' ? 400 : 256 });
    source = join(image.mountPath, 'source');
    live = join(image.mountPath, 'live');
  });
  afterAll(() => image?.dispose());

  async function withTrees(
    steps: { readonly before: readonly Intent[]; readonly after: readonly Intent[] },
    check: () => Promise<void>,
  ): Promise<void> {
    for (const path of [source, live]) rmSync(path, { recursive: true, force: true });
    mkdirSync(source);
    const model = makeTree();
    perform(source, model, steps.before);
    copyAside(source, live);
    perform(live, model, steps.after);
    await check();
  }

  const steps = fc.record({
    before: fc.array(intentArbitrary, { minLength: 5, maxLength: 40 }),
    after: fc.array(intentArbitrary, { minLength: 1, maxLength: 25 }),
  });

  test('compareTrees() names exactly the paths whose independent lines differ', async () => {
    const property = fc.asyncProperty(steps, (given) =>
      withTrees(given, async () => {
        const changes = await changesFrom(live, source);
        const paths = changes.map(({ path }) => path);
        expect([...paths].sort()).toEqual(differingPaths(live, source));
        expect([...new PathSet(paths)], 'in walk order, each once').toEqual(paths);
      }),
    );
    await fc.assert(property, { numRuns: 12 });
  });

  test('applyTree() with candidates that hold every change gives an equal tree', async () => {
    const property = fc.asyncProperty(steps, (given) =>
      withTrees(given, async () => {
        const candidates = new PathSet(differingPaths(live, source));
        await turn(live, source, { candidates });
        assertSameTree(source, live);
        expect((await turn(live, source)).changes).toBe(0);
      }),
    );
    await fc.assert(property, { numRuns: 15 });
  });
});
