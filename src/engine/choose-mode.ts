/**
 * Choosing how to turn the tree: path by path, or one exchange.
 *
 * A swap is right only when nobody holds the old tree (working directories, open files, mounts); then
 * it pays when much changed. In place is right always. What the person asks for is done or refused,
 * never silently replaced.
 */
import type { Backend, TreeRef, WorkspaceRef } from '../backend/backend.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotId } from '../core/ids.ts';
import type { TurnMode } from '../core/state.ts';

/** Changes above which an exchange beats path by path, measured: see docs/benchmarks.md. */
const SWAP_WORTH_CHANGES = 2000;

export interface ChosenMode {
  readonly mode: TurnMode;
  /** For people: why. */
  readonly reason: string;
}

/** For a plan. @throws GhostsnapError UNSUPPORTED_MODE when `swap` was asked for and cannot be done now */
export async function chooseMode(
  backend: Backend,
  ref: WorkspaceRef,
  target: SnapshotId,
  asked: TurnMode | 'auto',
): Promise<ChosenMode> {
  const settled = settledMode(backend, ref, asked);
  return settled ?? (await modeByChanges(backend, ref, { from: 'live', to: target }));
}

/** null: the number of changes decides. @throws GhostsnapError UNSUPPORTED_MODE as `chooseMode` */
export function settledMode(
  backend: Backend,
  ref: WorkspaceRef,
  asked: TurnMode | 'auto',
): ChosenMode | null {
  if (asked === 'in-place') return { mode: 'in-place', reason: 'in place was asked for' };
  if (!backend.properties.canSwap) {
    const reason = `the ${backend.properties.kind} backend turns trees in place`;
    if (asked === 'swap') throw refused(reason);
    return { mode: 'in-place', reason };
  }
  const check = backend.checkSwap(ref);
  if (asked === 'swap') {
    if (!check.allowed) throw refused(check.reason);
    return { mode: 'swap', reason: 'swap was asked for' };
  }
  return check.allowed ? null : { mode: 'in-place', reason: check.reason };
}

/** `from`: the live tree, or a snapshot that was just taken of it. */
export async function modeByChanges(
  backend: Backend,
  ref: WorkspaceRef,
  trees: { readonly from: TreeRef; readonly to: SnapshotId },
): Promise<ChosenMode> {
  let changes = 0;
  for await (const _change of backend.compare(ref, trees.from, trees.to)) {
    changes += 1;
    if (changes > SWAP_WORTH_CHANGES) {
      const reason = `nobody holds the tree and more than ${SWAP_WORTH_CHANGES} paths change`;
      return { mode: 'swap', reason };
    }
  }
  return { mode: 'in-place', reason: `${changes} paths change, few enough to go path by path` };
}

function refused(reason: string): GhostsnapError {
  return new GhostsnapError('UNSUPPORTED_MODE', `The workspace cannot be swapped: ${reason}.`, {
    hint: 'Use --mode in-place, or --mode auto to let ghostsnap choose.',
  });
}
