/**
 * The operations that the simulated callers ask for, each with what its answer promises.
 *
 * An operation is one call of the public API by one process. Another process may have the workspace
 * first; so nothing is compared with how things were when the call began, only with how they were when it
 * had the lock.
 */
import { strict as assert } from 'node:assert';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import type { EngineWorkspace } from '../../src/engine/engine-workspace.ts';
import type { TurnResult } from '../../src/engine/results.ts';
import type { SimAuditor } from './sim-auditor.ts';
import type { SimVolume } from './sim-backend.ts';
import type { SimRandom } from './sim-random.ts';
import { changedFiles, contentOf, FILES, pathOf, type SimTree } from './sim-tree.ts';

export interface OperationContext {
  readonly workspace: EngineWorkspace;
  readonly volume: SimVolume;
  readonly auditor: SimAuditor;
  readonly random: SimRandom;
  /** Changes the live tree as a tool does; nothing when another process is at work on it. */
  readonly edit: () => void;
}

type Operation = (context: OperationContext) => Promise<void>;

/** Of twenty calls, how many are what. */
const SHARES: readonly (readonly [name: OperationName, share: number])[] = [
  ['snapshot', 5],
  ['call', 4],
  ['arm', 3],
  ['rollback', 3],
  ['undo', 2],
  ['redo', 1],
  ['restore', 1],
  ['pin', 1],
  ['prune', 1],
  ['prune-named', 1],
  ['recover', 1],
];

export type OperationName =
  | 'snapshot'
  | 'call'
  | 'arm'
  | 'rollback'
  | 'undo'
  | 'redo'
  | 'restore'
  | 'pin'
  | 'prune'
  | 'prune-named'
  | 'recover';

export function pickOperation(random: SimRandom, hasSnapshots: boolean): OperationName {
  if (!hasSnapshots) return 'snapshot';
  let roll = random.below(SHARES.reduce((sum, [, share]) => sum + share, 0));
  for (const [name, share] of SHARES) {
    roll -= share;
    if (roll < 0) return name;
  }
  throw new Error('The shares do not add up.');
}

export const OPERATIONS: Readonly<Record<OperationName, Operation>> = {
  snapshot: async ({ workspace, volume, auditor }) => {
    const { id } = await workspace.snapshot({ label: 'sim' });
    assert.equal(volume.snapshots.get(id), volume.live, 'a snapshot holds the live tree');
    auditor.acknowledge(id, volume.live);
  },

  // A tool call as a hook reports it; sometimes its end is never reported.
  call: async ({ workspace, volume, auditor, random, edit }) => {
    const session = `session-${random.below(3)}`;
    const begun = await workspace.beginCall({
      ...{ session, harness: 'sim', tool: 'edit', key: String(random.below(1000)) },
    });
    assert.ok(begun.snapshot !== null, 'a call that may change things has a snapshot');
    if (!begun.repeated) {
      assert.equal(volume.snapshots.get(begun.snapshot), volume.live, 'it holds the live tree');
      auditor.acknowledge(begun.snapshot, volume.live);
    }
    edit();
    if (random.oneIn(4)) return;
    if (random.oneIn(8)) await workspace.submitPrompt({ session, harness: 'sim', text: '' });
    else await workspace.endCall({ call: begun.call, outcome: 'ok' });
    await workspace.measureCall(begun.call);
    await workspace.findUnattributed(begun.call);
  },

  // What is armed is adopted by the next snapshot, or dropped by whatever comes first.
  arm: async ({ workspace, volume, auditor, random, edit }) => {
    await workspace.arm();
    if (random.oneIn(3)) edit();
    if (random.oneIn(3)) return;
    const { id } = await workspace.snapshot({ label: 'sim' });
    assert.equal(volume.snapshots.get(id), volume.live, 'an adopted snapshot holds the live tree');
    auditor.acknowledge(id, volume.live);
  },

  rollback: async (context) => {
    const target = pickSnapshot(context);
    const mode = context.random.pick(['auto', 'swap', 'in-place'] as const);
    assertTurned(context, await context.workspace.rollback(target, { mode }));
  },

  undo: async (context) => {
    assertChanged(context, await context.workspace.undo({ mode: 'in-place' }));
    if (!context.random.oneIn(2)) return;
    const again = await context.workspace.redo();
    assert.equal(again.kind, 'redo');
    assertChanged(context, again);
  },

  redo: async (context) => {
    assertChanged(context, await context.workspace.redo({ mode: 'in-place' }));
  },

  restore: async (context) => {
    const { volume, auditor, random } = context;
    const target = pickSnapshot(context);
    const wanted = auditor.acknowledged.get(target);
    const file = random.below(FILES);
    const done = await context.workspace.restore(target, [pathOf(file)]);
    const left = treeOf(volume, done.precautionary);
    const changed = changedFiles(left, volume.live);
    assert.ok(
      changed.every((other) => other === file),
      'a restore touches nothing else',
    );
    if (wanted !== undefined) assert.equal(contentOf(volume.live, file), contentOf(wanted, file));
    assertLeft(context, done.precautionary);
    auditor.acknowledge(done.precautionary, left);
  },

  pin: async (context) => {
    const { workspace, auditor, random } = context;
    const target = pickSnapshot(context);
    if (random.oneIn(3)) {
      await workspace.pin(target);
      auditor.setPinned(target, 'pinned');
      return;
    }
    auditor.setPinned(target, 'unpinned');
    await workspace.unpin(target);
  },

  prune: async ({ workspace, volume }) => {
    const done = await workspace.prune();
    for (const id of done.deleted) {
      assert.ok(!volume.snapshots.has(id), 'what was deleted is gone');
    }
  },

  'prune-named': async (context) => {
    const target = pickSnapshot(context);
    const done = await context.workspace.prune({ specs: [target] });
    assert.deepEqual(done.deleted, [target]);
  },

  recover: async ({ workspace }) => {
    await workspace.recover();
  },
};

function pickSnapshot({ auditor, random }: OperationContext): SnapshotId {
  const ids = [...auditor.acknowledged.keys()];
  // Another process may have deleted the last one while this one opened the workspace.
  if (ids.length === 0) throw new GhostsnapError('SNAPSHOT_NOT_FOUND', 'There is none.');
  return random.pick(ids);
}

function assertTurned(context: OperationContext, done: TurnResult): void {
  const { volume, auditor } = context;
  assert.equal(volume.live, treeOf(volume, done.target), `${done.kind} gives its target`);
  assertLeft(context, done.precautionary);
  auditor.acknowledge(done.precautionary, treeOf(volume, done.precautionary));
}

/** What undo and redo left is their precautionary snapshot: it may not be where they led. */
function assertChanged(context: OperationContext, done: TurnResult): void {
  assertTurned(context, done);
  const left = treeOf(context.volume, done.precautionary);
  assert.notEqual(context.volume.live, left, `${done.kind} changes something`);
}

/**
 * The tree that a turn found under the lock is its precautionary snapshot, except where it ended an
 * interrupted operation first: that may have turned the tree (and the auditor sees that it is held).
 */
function assertLeft({ volume, auditor }: OperationContext, precautionary: SnapshotId): void {
  assert.ok(auditor.atLock !== null);
  if (auditor.atLock.isInterrupted) return;
  const left = treeOf(volume, precautionary);
  assert.equal(left, auditor.atLock.tree, 'the state before a turn is its precautionary snapshot');
}

function treeOf(volume: SimVolume, id: SnapshotId): SimTree {
  const tree = volume.snapshots.get(id);
  assert.ok(tree !== undefined, `the snapshot ${id} is on disk`);
  return tree;
}
