/** Deleting any snapshots in any order: what is kept stays whole, what nobody refers to is gone. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WorkspaceRef } from '../../src/backend/backend.ts';
import { createStoreBackend } from '../../src/backend/store/store-backend.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import { assertSameDigest, digestTree, type TreeDigest } from '../checker/tree-digest.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';
import { auditStore, SOUND } from './store-audit.ts';
import { StoreStage } from './store-stage.ts';

const name = fc.constantFrom('a', 'b', 'c');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `${names.join('/')}.f`);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('write'), path, n: fc.nat({ max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('remove'), path: name, n: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('snapshot'), path, n: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('delete'), path, n: fc.nat() }) },
);
const steps = fc.array(fc.record({ step, workspace: fc.nat({ max: 1 }) }), {
  minLength: 10,
  maxLength: 50,
});

interface Kept {
  readonly ref: WorkspaceRef;
  readonly live: string;
  readonly id: SnapshotId;
  readonly tree: TreeDigest;
}

/** Two workspaces in one pool, with equal names and contents, so that objects are shared. */
async function play(
  under: string,
  script: readonly { readonly step: { op: string; path: string; n: number }; workspace: number }[],
): Promise<void> {
  using one = new StoreStage(under);
  using two = new StoreStage(under);
  const refs = [one.ref, { ...two.ref, poolRoot: one.pool }];
  await using backend = createStoreBackend();
  for (const ref of refs) await backend.initWorkspace(ref, {});
  const kept: Kept[] = [];
  for (const { step: at, workspace } of script) {
    const ref = refs[workspace]!;
    if (at.op === 'write') {
      const file = join(ref.path, at.path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `content ${at.n}`.repeat(at.n * 300 + 1));
    } else if (at.op === 'remove') {
      rmSync(join(ref.path, at.path), { recursive: true, force: true });
    } else if (at.op === 'snapshot') {
      const id = one.nextId();
      backend.createSnapshotSync(ref, id);
      kept.push({ ref, live: ref.path, id, tree: digestTree(ref.path) });
    } else if (kept.length > 0) {
      const [gone] = kept.splice(at.n % kept.length, 1);
      await backend.deleteSnapshots(gone!.ref, [gone!.id]);
      expect(auditStore(one.pool, refs)).toEqual(SOUND);
    }
  }
  for (const { ref, live, id, tree } of kept) {
    await backend.applyInPlace(ref, id);
    assertSameDigest(tree, digestTree(live), id);
  }
  const mine = kept.filter(({ ref }) => ref === refs[0]).map(({ id }) => id);
  await backend.deleteSnapshots(one.ref, mine);
  expect(auditStore(one.pool, refs)).toEqual(SOUND);
  await backend.releaseWorkspace(refs[1]!, {});
  expect(auditStore(one.pool, [one.ref])).toEqual(SOUND);
}

describe('deleteSnapshots() removes exactly what nobody refers to', () => {
  let image: LoopImage;
  let base: string;

  beforeAll(async () => {
    base = mkdtempSync(join(tmpdir(), 'ghostsnap-sweep-'));
    image = await makeLoopImage({ fs: 'xfs', sizeMiB: 512 });
  });
  afterAll(async () => {
    rmSync(base, { recursive: true, force: true });
    await image?.dispose();
  });

  test('with copies', async () => {
    await fc.assert(
      fc.asyncProperty(steps, (script) => play(base, script)),
      { numRuns: 25 },
    );
  });

  test('with reflinks', async () => {
    await fc.assert(
      fc.asyncProperty(steps, (script) => play(image.mountPath, script)),
      {
        numRuns: 10,
      },
    );
  });
});
