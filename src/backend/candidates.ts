/**
 * The paths that may differ, as a tree of names that is asked one directory at a time.
 *
 * A set that is at hand (`PathSet`) is one; so is a comparison that is made only when somebody asks, and
 * forgotten with the node (`store/differing-entries.ts`). So nothing here may hold more than the way from
 * the root to where it stands: the number of candidates is that of a change, which may be everything.
 */
import { joinRaw, type RawName, type RawPath, ROOT_PATH } from '../core/raw-path.ts';

export interface CandidateNode {
  /** This very path is a candidate; else it only leads to some. */
  readonly isMember: boolean;
  /** Names of the children that are candidates or lead to some, in byte order. */
  names(): readonly RawName[];
  /** undefined: not one of `names`. */
  child(name: RawName): CandidateNode | undefined;
}

export interface Candidates {
  readonly root: CandidateNode;
}

export interface PlacedCandidate {
  readonly path: RawPath;
  readonly node: CandidateNode;
}

/** Members in walk order: a directory before what lies below it, names in byte order. */
export function* membersOf({ root }: Candidates): Generator<PlacedCandidate> {
  if (root.isMember) yield { path: ROOT_PATH, node: root };
  const stack = [{ node: root, path: ROOT_PATH, names: root.names(), next: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const name = top.names[top.next];
    const node = name === undefined ? undefined : top.node.child(name);
    if (name === undefined || node === undefined) {
      stack.pop();
      continue;
    }
    top.next += 1;
    const path = joinRaw(top.path, name);
    if (node.isMember) yield { path, node };
    const names = node.names();
    if (names.length > 0) stack.push({ node, path, names, next: 0 });
  }
}

/** Whether the path itself is a candidate. */
export function isCandidate({ root }: Candidates, path: RawPath): boolean {
  let node: CandidateNode | undefined = root;
  if (path === '') return node.isMember;
  for (const name of path.split('/')) {
    node = node.child(name as RawName);
    if (node === undefined) return false;
  }
  return node.isMember;
}

/** What is in either, also what is added to one of them later. */
export function unionOf(a: Candidates, b: Candidates): Candidates {
  return { root: new UnionNode(a.root, b.root) };
}

class UnionNode implements CandidateNode {
  readonly #a: CandidateNode;
  readonly #b: CandidateNode;

  constructor(a: CandidateNode, b: CandidateNode) {
    this.#a = a;
    this.#b = b;
  }

  get isMember(): boolean {
    return this.#a.isMember || this.#b.isMember;
  }

  names(): readonly RawName[] {
    return merged(this.#a.names(), this.#b.names());
  }

  child(name: RawName): CandidateNode | undefined {
    const a = this.#a.child(name);
    const b = this.#b.child(name);
    if (a === undefined || b === undefined) return a ?? b;
    return new UnionNode(a, b);
  }
}

function merged(a: readonly RawName[], b: readonly RawName[]): readonly RawName[] {
  if (b.length === 0) return a;
  const names: RawName[] = [];
  for (let i = 0, k = 0; i < a.length || k < b.length; ) {
    const [x, y] = [a[i], b[k]];
    const takeX = x !== undefined && (y === undefined || x <= y);
    const takeY = y !== undefined && (x === undefined || y <= x);
    if (takeX) i += 1;
    if (takeY) k += 1;
    names.push((takeX ? x : y) as RawName);
  }
  return names;
}
