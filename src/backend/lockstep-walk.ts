/**
 * Two trees, walked side by side.
 *
 * The walk visits each path once, in walk order, with the entry of either side; the consumer says
 * which directories to enter, and is told when one is left. It holds the entries of the directories
 * on the way from the root and nothing else, so memory is bounded by the largest directory times
 * the depth.
 *
 * It must not know what a difference is: comparing and turning trees both stand on it.
 */
import { GhostsnapError } from '../core/errors.ts';
import { joinRaw, type RawName, type RawPath, ROOT_PATH } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { TreeReader } from './backend.ts';
import { DirectoryTree } from './directory-tree.ts';
import type { TreeEvidence } from './tree-evidence.ts';
import { type EntryPair, readChangedPairs } from './unchanged-pairs.ts';
import {
  namesInScope,
  type ScopeOptions,
  scopeOfChild,
  scopeOfRoot,
  type WalkScope,
  withAllCandidates,
} from './walk-scope.ts';

export interface Visit {
  /** 'leave': everything below the directory has been visited. */
  readonly step: 'visit' | 'leave';
  readonly path: RawPath;
  readonly from: TreeEntry | null;
  readonly to: TreeEntry | null;
  readonly isUnchanged: boolean;
  readonly scope: WalkScope;
}

/** Which sides of a visit are directories to be entered. */
export type EnteredSides = 'both' | 'from' | 'to';

export interface WalkRequest extends ScopeOptions {
  readonly from: TreeReader;
  readonly to: TreeReader;
  readonly evidence: TreeEvidence;
}

interface Frame {
  readonly visit: Visit;
  readonly scope: WalkScope;
  readonly pairs: readonly EntryPair[];
  next: number;
}

export class LockstepWalk {
  readonly #from: TreeReader;
  readonly #to: TreeReader;
  readonly #trustedBeforeMs: number | undefined;
  readonly #rootScope: WalkScope;
  readonly #frames: Frame[] = [];
  #started = false;

  constructor(request: WalkRequest) {
    this.#from = request.from;
    this.#to = request.to;
    this.#trustedBeforeMs = request.evidence.inodesTrustedBeforeMs;
    this.#rootScope = scopeOfRoot(request);
  }

  /** The next visit; null at the end. The first is the root's. */
  next(): Visit | null {
    if (!this.#started) {
      this.#started = true;
      return this.#visit(ROOT_PATH, this.#rootScope, {
        from: this.#from.root(),
        to: this.#to.root(),
        isUnchanged: false,
      });
    }
    for (let top = this.#frames.at(-1); top !== undefined; top = this.#frames.at(-1)) {
      const pair = top.pairs[top.next];
      if (pair === undefined) {
        this.#frames.pop();
        return { ...top.visit, step: 'leave' };
      }
      top.next += 1;
      const name = pair.from?.name ?? pair.to?.name ?? ('' as RawName);
      const scope = scopeOfChild(top.scope, name);
      if (scope !== null) return this.#visit(joinRaw(top.visit.path, name), scope, pair);
    }
    return null;
  }

  /**
   * Enters the directory of a visit: its entries come next, then its 'leave'. A directory that
   * vanished meanwhile has no entries.
   * @throws GhostsnapError CAPTURE_FAILED when it can't be read; then it is not entered
   */
  enter(visit: Visit, sides: EnteredSides): void {
    const isOther = sides !== 'both' || visit.from?.ino !== visit.to?.ino;
    // Hints name what changed between two states of one directory; another directory has no such
    // past.
    const isHinted = visit.scope.candidates !== 'all' && isOther && visit.path !== '';
    const scope = isHinted ? withAllCandidates(visit.scope) : visit.scope;
    this.#frames.push({ visit, scope, pairs: this.#read(visit.path, scope, sides), next: 0 });
  }

  /** Paths of the directories that are entered and not left. */
  get depth(): number {
    return this.#frames.length;
  }

  #visit(path: RawPath, scope: WalkScope, pair: EntryPair): Visit {
    const { from, to, isUnchanged } = pair;
    return { step: 'visit', path, from, to, isUnchanged, scope };
  }

  #read(path: RawPath, scope: WalkScope, sides: EnteredSides): readonly EntryPair[] {
    const names = namesInScope(scope);
    if (names !== null) return this.#lookUp(path, names, sides);
    if (sides === 'both') {
      const pairs = this.#readChanged(path);
      if (pairs !== null) return pairs;
    }
    const from = sides === 'to' ? [] : readOrEmpty(this.#from, path);
    const to = sides === 'from' ? [] : readOrEmpty(this.#to, path);
    return mergePairs(from, to);
  }

  #readChanged(path: RawPath): EntryPair[] | null {
    const trustedBeforeMs = this.#trustedBeforeMs;
    const [from, to] = [this.#from, this.#to];
    if (trustedBeforeMs === undefined) return null;
    if (!(from instanceof DirectoryTree) || !(to instanceof DirectoryTree)) return null;
    try {
      return readChangedPairs({ from, to, trustedBeforeMs }, path);
    } catch {
      // Whatever it was, reading the directories in full meets it again and says whose it is.
      return null;
    }
  }

  #lookUp(path: RawPath, names: readonly RawName[], sides: EnteredSides): EntryPair[] {
    const pairs: EntryPair[] = [];
    for (const name of names) {
      const child = joinRaw(path, name);
      const from = sides === 'to' ? null : this.#from.lookup(child);
      const to = sides === 'from' ? null : this.#to.lookup(child);
      if (from !== null || to !== null) pairs.push({ from, to, isUnchanged: false });
    }
    return pairs;
  }
}

function readOrEmpty(reader: TreeReader, path: RawPath): readonly TreeEntry[] {
  try {
    return reader.readDirectory(path);
  } catch (error) {
    const errno = error instanceof GhostsnapError ? error.data.errno : undefined;
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return [];
    throw error;
  }
}

function mergePairs(from: readonly TreeEntry[], to: readonly TreeEntry[]): EntryPair[] {
  const pairs: EntryPair[] = [];
  let i = 0;
  let k = 0;
  while (i < from.length || k < to.length) {
    const a = from[i];
    const b = to[k];
    const takeA = a !== undefined && (b === undefined || a.name <= b.name);
    const takeB = b !== undefined && (a === undefined || b.name <= a.name);
    if (takeA) i += 1;
    if (takeB) k += 1;
    pairs.push({ from: takeA ? a : null, to: takeB ? b : null, isUnchanged: false });
  }
  return pairs;
}
