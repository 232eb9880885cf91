/**
 * A set of paths as a tree of names.
 *
 * It holds the paths that may have changed (from `btrfs send`) or that a person chose, and answers
 * the two questions a walk asks: is this path meant, and is there anything below it. Children are
 * put in byte order when they are first iterated, so iteration is in walk order whatever the order
 * of `add`.
 */
import { assert } from '../core/errors.ts';
import type { RawName, RawPath } from '../core/raw-path.ts';
import { type CandidateNode, type Candidates, membersOf } from './candidates.ts';

export class PathNode implements CandidateNode {
  readonly children = new Map<string, PathNode>();
  isMember = false;
  #sortedNames: RawName[] | null = null;

  child(name: string): PathNode | undefined {
    return this.children.get(name);
  }

  get hasChildren(): boolean {
    return this.children.size > 0;
  }

  ensureChild(name: RawName): PathNode {
    const known = this.children.get(name);
    if (known !== undefined) return known;
    const made = new PathNode();
    this.children.set(name, made);
    this.#sortedNames = null;
    return made;
  }

  /** Removes the children that `isKept` refuses, below as well. Returns how many members stay. */
  retain(isKept: (node: PathNode) => boolean): number {
    let members = 0;
    for (const [name, child] of [...this.children]) {
      if (isKept(child)) members += child.retain(isKept) + (child.isMember ? 1 : 0);
      else this.children.delete(name);
    }
    this.#sortedNames = null;
    return members;
  }

  /** Names of the children in byte order. */
  names(): readonly RawName[] {
    if (this.#sortedNames === null) {
      this.#sortedNames = [...this.children.keys()].sort(compareNames) as RawName[];
    }
    return this.#sortedNames;
  }
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export class PathSet implements Candidates {
  readonly root = new PathNode();
  #size = 0;

  constructor(paths: Iterable<RawPath> = []) {
    for (const path of paths) this.add(path);
  }

  get size(): number {
    return this.#size;
  }

  /** Adding a path twice changes nothing. '' is the root of the tree. */
  add(path: RawPath): void {
    let node = this.root;
    if (path !== '') {
      for (const name of path.split('/')) {
        assert(
          name !== '' && name !== '.' && name !== '..',
          'a path in a set stays below its root',
        );
        node = node.ensureChild(name as RawName);
      }
    }
    if (!node.isMember) this.#size += 1;
    node.isMember = true;
  }

  /** Removes each path that `isKept` refuses, with everything below it. The root stays. */
  retain(isKept: (node: PathNode) => boolean): void {
    this.#size = this.root.retain(isKept) + (this.root.isMember ? 1 : 0);
  }

  /**
   * The node at `path`, member or ancestor of members; undefined: neither it nor anything below.
   */
  find(path: RawPath): PathNode | undefined {
    let node: PathNode | undefined = this.root;
    if (path === '') return node;
    for (const name of path.split('/')) {
      node = node.child(name);
      if (node === undefined) return undefined;
    }
    return node;
  }

  hasExact(path: RawPath): boolean {
    return this.find(path)?.isMember ?? false;
  }

  /** True when the set holds a path below `path` (not `path` itself). */
  mayContainBelow(path: RawPath): boolean {
    return this.find(path)?.hasChildren ?? false;
  }

  /** True when `path` or one of its ancestors is in the set. */
  covers(path: RawPath): boolean {
    let node: PathNode | undefined = this.root;
    if (node.isMember) return true;
    for (const name of path.split('/')) {
      node = node.child(name);
      if (node === undefined) return false;
      if (node.isMember) return true;
    }
    return false;
  }

  /** Members in walk order: a directory before what lies below it, names in byte order. */
  *[Symbol.iterator](): IterableIterator<RawPath> {
    for (const { path } of membersOf(this)) yield path;
  }
}
