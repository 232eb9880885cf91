/**
 * What every step of turning a tree shares: the live tree, the source, notes, labels, unlocked
 * directories.
 *
 * Before anything is done in a directory it is unlocked, once; whoever leaves the directory gives
 * it its final attributes. A note is kept once a path and text: nothing that could not be given
 * back is silent.
 */
import { randomBytes } from 'node:crypto';
import {
  baseOf,
  comparePaths,
  displayPath,
  parentOf,
  type RawName,
  type RawPath,
} from '../core/raw-path.ts';
import type { ApplyResult, TreeReader } from './backend.ts';
import type { DirectoryTree } from './directory-tree.ts';
import { errnoOf } from './syscall-failure.ts';
import { unlockDirectory, unlockRoot } from './unlock-inode.ts';

const TEMPORARY_PREFIX = '.ghostsnap-';
const TEMPORARY_SUFFIX = '.tmp';

const TEMPORARY_PATTERN = /^\.ghostsnap-[0-9a-f]{16}\.tmp$/;

/** A name that this program gives to what it is writing; removed when a killed run left it over. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY_PATTERN.test(name);
}

export type StepHook = (label: string) => void;

export interface ApplyContextRequest {
  readonly live: DirectoryTree;
  readonly source: TreeReader;
  readonly onStep: StepHook | undefined;
  readonly signal: AbortSignal | undefined;
}

export class ApplyContext {
  readonly live: DirectoryTree;
  readonly source: TreeReader;
  readonly signal: AbortSignal | undefined;
  /** Effective user and group of this process. */
  readonly user = process.geteuid?.() ?? 0;
  changes = 0;
  readonly #onStep: StepHook | undefined;
  readonly #notes = new Map<string, { path: RawPath; what: string }>();
  readonly #unlocked = new Set<RawPath>();
  #steps = 0;

  constructor(request: ApplyContextRequest) {
    this.live = request.live;
    this.source = request.source;
    this.signal = request.signal;
    this.#onStep = request.onStep;
  }

  /** Called before every mutation. */
  step(what: string): void {
    this.#steps += 1;
    this.#onStep?.(`apply:${this.#steps}:${what}`);
  }

  note(path: RawPath, what: string): void {
    this.#notes.set(`${path}\0${what}`, { path, what });
  }

  result(): ApplyResult {
    return { changes: this.changes, notes: [...this.#notes.values()] };
  }

  /** The live parent of `path`, for looking. Valid until the next call. */
  parentFd(path: RawPath): number {
    return this.live.fds.open(parentOf(path));
  }

  /** The live parent of `path`, unlocked, for changing what is in it. Valid until the next call. */
  openForChange(path: RawPath): number {
    const parent = parentOf(path);
    if (!this.#unlocked.has(parent)) this.unlock(parent);
    return this.live.fds.open(parent);
  }

  /** Makes a live directory readable and writable; it gets its attributes when it is left. */
  unlock(directory: RawPath): void {
    this.#unlocked.add(directory);
    if (directory === '') {
      unlockRoot(this.live.rootFd);
      return;
    }
    const name = baseOf(directory);
    if (unlockDirectory(this.parentFd(directory), name)) this.live.fds.forget(directory);
  }

  /** True when the directory was unlocked since the last call: its attributes have moved. */
  takeUnlocked(directory: RawPath): boolean {
    return this.#unlocked.delete(directory);
  }

  /** Directories that were unlocked and not taken since, deepest first. */
  unlockedPaths(): readonly RawPath[] {
    return [...this.#unlocked].sort((a, b) => comparePaths(b, a));
  }

  isUnlocked(directory: RawPath): boolean {
    return this.#unlocked.has(directory);
  }

  /** For a directory that is new: nothing about it needs to be unlocked. */
  markUnlocked(directory: RawPath): void {
    this.#unlocked.add(directory);
  }

  temporaryName(): RawName {
    const random = randomBytes(8).toString('hex');
    return `${TEMPORARY_PREFIX}${random}${TEMPORARY_SUFFIX}` as RawName;
  }

  /** Carries out what a missing privilege may forbid; forbidden, it becomes a note. */
  permitted(path: RawPath, what: string, action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      if (!['EPERM', 'EACCES', 'EOPNOTSUPP', 'EINVAL'].includes(errno)) throw error;
      this.note(path, `${what} (${errno})`);
      return false;
    }
  }
}

export function ownerText(uid: number, gid: number): string {
  return `owner ${uid}:${gid} not given back`;
}

export function xattrText(name: string): string {
  return `extended attribute ${displayPath(name)} not given back`;
}
