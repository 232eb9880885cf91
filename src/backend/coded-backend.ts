/**
 * A backend whose every failure has a code, an operation and a path.
 *
 * The engine decides by codes: whether a call may go on without a snapshot, whether arming is given up
 * quietly. An errno that a backend did not think of must not look like a bug to it.
 */
import { rawFromText } from '../core/raw-path.ts';
import type { Arming, Backend } from './backend.ts';
import { type DescribeFailure, withCodes } from './failure-edge.ts';

type Operation = Exclude<keyof Backend, 'properties' | 'arming' | symbol>;

/** The start of a sentence: "... failed with EIO". */
const WHAT = {
  initWorkspace: 'Making the workspace',
  recoverWorkspace: 'Recovering the workspace',
  isLeftHalfWay: 'Looking at the workspace',
  recreateWorkspace: 'Bringing the workspace back',
  identify: 'Looking at the workspace',
  showAgain: 'Showing the workspace at its path',
  rebindWorkspace: 'Binding the workspace to its path',
  abandonWorkspace: 'Removing what is left of the workspace',
  createSnapshot: 'Taking the snapshot',
  createSnapshotSync: 'Taking the snapshot',
  listSnapshots: 'Listing the snapshots',
  snapshotsStamp: 'Looking at the snapshots',
  deleteSnapshots: 'Deleting snapshots',
  setPinned: 'Pinning',
  listPinned: 'Listing the pins',
  openTree: 'Reading the tree',
  compare: 'Comparing',
  areProvenSame: 'Looking at the snapshots',
  applyInPlace: 'Turning the tree',
  applyPlanned: 'Turning the tree',
  extract: 'Extracting',
  makeScratch: 'Making the scratch tree',
  removeScratch: 'Removing the scratch tree',
  checkSwap: 'Looking who holds the tree',
  prepareSwap: 'Preparing the exchange',
  swapIn: 'Exchanging the tree',
  finishSwap: 'Ending the exchange',
  removeReplaced: 'Removing old trees',
  listUncovered: 'Looking for what is not covered',
  releaseWorkspace: 'Ending the workspace',
  cloneWorkspace: 'Cloning the workspace',
  assertRemovable: 'Looking at the workspace',
  removeWorkspace: 'Removing the workspace',
  verifySnapshots: 'Verifying the snapshots',
  space: 'Measuring the pool',
} as const satisfies Record<Operation, string>;

const ARMING_WHAT = 'Arming the next snapshot';

/** @returns the same backend, as seen by the engine */
export function withCodedFailures<T extends Backend>(backend: T): T {
  const { arming } = backend;
  const parts: Partial<Backend> = { arming: arming === null ? null : codedArming(arming) };
  return withCodes<Backend>(backend, describe, parts) as T;
}

function codedArming(arming: Arming): Arming {
  return withCodes(arming, (_, args) => ({ what: ARMING_WHAT, path: pathOf(args) }));
}

const describe: DescribeFailure = (method, args) => ({
  what: isOperation(method) ? WHAT[method] : 'Working on the workspace',
  path: pathOf(args),
});

function isOperation(method: string): method is Operation {
  return Object.hasOwn(WHAT, method);
}

/** The first argument is the workspace, or the pool's root. */
function pathOf(args: readonly unknown[]): string {
  const [subject] = args;
  if (typeof subject === 'string') return rawFromText(subject);
  const isRef = typeof subject === 'object' && subject !== null && 'path' in subject;
  return isRef ? rawFromText(String(subject.path)) : '';
}
