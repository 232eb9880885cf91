/**
 * Which paths a walk looks at.
 *
 * Two selections at once: the paths a person chose, each with everything below it, and the paths
 * that may have changed. 'all' means no limit from here down. Directories on the way to a chosen
 * path are passed through but are not chosen themselves.
 */
import type { RawName } from '../core/raw-path.ts';
import type { CandidateNode, Candidates } from './candidates.ts';
import type { PathNode, PathSet } from './path-set.ts';

export interface WalkScope {
  readonly chosen: PathNode | 'all';
  readonly candidates: CandidateNode | 'all';
}

export interface ScopeOptions {
  /** Only these paths may differ. Absent: any may. */
  readonly candidates?: Candidates;
  /** Only these paths, each with everything below. Absent: the whole tree. */
  readonly subtreeRoots?: PathSet;
}

const EVERYTHING: WalkScope = { chosen: 'all', candidates: 'all' };

export function scopeOfRoot(options: ScopeOptions): WalkScope {
  const chosenRoot = options.subtreeRoots?.root;
  return {
    chosen: chosenRoot === undefined || chosenRoot.isMember ? 'all' : chosenRoot,
    candidates: options.candidates?.root ?? 'all',
  };
}

/** null: the child is not looked at. */
export function scopeOfChild(scope: WalkScope, name: RawName): WalkScope | null {
  if (scope.chosen === 'all' && scope.candidates === 'all') return EVERYTHING;
  const chosen = scope.chosen === 'all' ? 'all' : scope.chosen.child(name);
  const candidates = scope.candidates === 'all' ? 'all' : scope.candidates.child(name);
  if (chosen === undefined || candidates === undefined) return null;
  return { chosen: chosen !== 'all' && chosen.isMember ? 'all' : chosen, candidates };
}

/** The same place, with every path below it a candidate. */
export function withAllCandidates(scope: WalkScope): WalkScope {
  return scope.chosen === 'all' ? EVERYTHING : { chosen: scope.chosen, candidates: 'all' };
}

/** Names to look up one by one; null: read the whole directory. */
export function namesInScope(scope: WalkScope): readonly RawName[] | null {
  if (scope.candidates !== 'all') return scope.candidates.names();
  if (scope.chosen !== 'all') return scope.chosen.names();
  return null;
}

export function isChosen(scope: WalkScope): boolean {
  return scope.chosen === 'all';
}
