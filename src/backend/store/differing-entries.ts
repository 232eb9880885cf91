/**
 * The paths in which two snapshots differ, found while a walk goes by and held only on its way.
 *
 * Each node compares one directory of both manifests when it is asked for its names, and goes on only
 * where the hashes of a child differ. Nothing else is kept: after a change of everything the differing
 * paths are as many as the tree has. Manifests never change, so whoever asks twice gets the same answer.
 */
import { joinRaw, type RawName, type RawPath, ROOT_PATH } from '../../core/raw-path.ts';
import type { CandidateNode, Candidates } from '../candidates.ts';
import { sameStored } from './manifest-evidence.ts';
import type { ManifestTree } from './manifest-tree.ts';
import type { StoredEntry } from './stored-entry.ts';

interface Trees {
  readonly from: ManifestTree;
  readonly to: ManifestTree;
}

/** Both trees stay open as long as the answer is used. */
export function differingEntries(from: ManifestTree, to: ManifestTree): Candidates {
  const [a, b] = [from.manifest.root, to.manifest.root];
  return { root: new DifferingNode({ from, to }, ROOT_PATH, isDifferent(a, b), leadsOn(a, b)) };
}

class DifferingNode implements CandidateNode {
  readonly isMember: boolean;
  readonly #trees: Trees;
  readonly #path: RawPath;
  readonly #leadsOn: boolean;
  #names: readonly RawName[] | null = null;

  constructor(trees: Trees, path: RawPath, isMember: boolean, leadsOn: boolean) {
    this.#trees = trees;
    this.#path = path;
    this.isMember = isMember;
    this.#leadsOn = leadsOn;
  }

  names(): readonly RawName[] {
    this.#names ??= this.#leadsOn ? this.#differing() : NO_NAMES;
    return this.#names;
  }

  child(name: RawName): CandidateNode | undefined {
    if (!this.#leadsOn) return undefined;
    const path = joinRaw(this.#path, name);
    const a = this.#trees.from.stored(path);
    const b = this.#trees.to.stored(path);
    if (a === null && b === null) return undefined;
    const [isMember, isWay] = [isDifferent(a, b), leadsOn(a, b)];
    return isMember || isWay ? new DifferingNode(this.#trees, path, isMember, isWay) : undefined;
  }

  #differing(): readonly RawName[] {
    const before = this.#trees.from.storedEntries(this.#path) ?? [];
    const after = this.#trees.to.storedEntries(this.#path) ?? [];
    const names: RawName[] = [];
    for (let i = 0, k = 0; i < before.length || k < after.length; ) {
      const [x, y] = [before[i], after[k]];
      const a = x !== undefined && (y === undefined || x.name <= y.name) ? x : null;
      const b = y !== undefined && (x === undefined || y.name <= x.name) ? y : null;
      if (a !== null) i += 1;
      if (b !== null) k += 1;
      const name = a?.name ?? b?.name;
      if (name !== undefined && (isDifferent(a, b) || leadsOn(a, b))) names.push(name);
    }
    return names;
  }
}

const NO_NAMES: readonly RawName[] = [];

function isDifferent(a: StoredEntry | null, b: StoredEntry | null): boolean {
  return a === null || b === null || !sameStored(a, b) || a.linkGroup !== b.linkGroup;
}

/** Two directories that differ somewhere below. */
function leadsOn(a: StoredEntry | null, b: StoredEntry | null): boolean {
  return a?.type === 'dir' && b?.type === 'dir' && a.child !== b.child;
}
