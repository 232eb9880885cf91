/**
 * Turning the live tree into another, path by path.
 *
 * Both trees are walked side by side; what is equal is not touched and keeps its inode. Every step
 * leaves a tree that a second run carries on from: a run that was killed anywhere and then repeated
 * ends in the same tree. Mounts, nested subvolumes and sockets are left alone and never removed.
 *
 * What one user may not read or write does not stop the rest: it is tried whole, and then the error
 * names what could not be given back.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GhostsnapError } from '../core/errors.ts';
import {
  baseOf,
  displayPath,
  isWithin,
  joinRaw,
  parentOf,
  type RawPath,
} from '../core/raw-path.ts';
import { isBoundary, type TreeEntry } from '../core/tree-entry.ts';
import { ApplyContext, isTemporaryName } from './apply-context.ts';
import { finishDirectory, relockDirectory } from './apply-directory.ts';
import { createEntry, linkEntry, removeEntry, replaceEntry, turnFailure } from './apply-entry.ts';
import { ApplyLinks } from './apply-links.ts';
import { applyMetadata } from './apply-metadata.ts';
import type { ApplyOptions, ApplyResult, TreeReader } from './backend.ts';
import { openDirectoryTree } from './directory-tree.ts';
import { type ComparedTrees, differenceBeside, differenceOf } from './entry-difference.ts';
import { type EnteredSides, LockstepWalk, type Visit } from './lockstep-walk.ts';
import { type Anchor, findOuterLinks, NO_OUTER_LINKS, type OuterLinks } from './outer-links.ts';
import { errnoOf, interrupted } from './syscall-failure.ts';
import { unlinkAt } from './syscalls-entry-linux.ts';
import { scopeWithLinks } from './tree-compare.ts';
import type { TreeEvidence } from './tree-evidence.ts';
import { LOCKING_FLAGS } from './unlock-inode.ts';
import { isChosen, namesInScope, type ScopeOptions } from './walk-scope.ts';

export interface ApplyRequest extends TreeEvidence, ScopeOptions, Omit<ApplyOptions, 'paths'> {
  /** Given: the candidates are all that is turned, and this is what lies beside them. */
  readonly outerLinks?: OuterLinks;
  /** The root of the live tree; symlinks below it are never followed. */
  readonly livePath: string;
  readonly source: TreeReader;
}

/** Visits between two turns of the event loop. */
const VISITS_PER_TURN = 64;
/** Paths that one error names. */
const NAMED_FAILURES_MAX = 100;
/** How often one path is looked at again because somebody else changed it meanwhile. */
const RACES_MAX = 4;

/**
 * Turns the directory at `livePath` into `source`. In evidence and changes the live tree is `from`.
 * @throws GhostsnapError RESTORE_FAILED (naming the paths, after everything else was done),
 *   POOL_FULL,
 *   INTERRUPTED (between two paths; run again to finish), IO
 */
export async function applyTree(request: ApplyRequest): Promise<ApplyResult> {
  using live = openDirectoryTree(request.livePath, 'live');
  const context = new ApplyContext({
    live,
    source: request.source,
    onStep: request.onStep,
    signal: request.signal,
  });
  const outer = request.outerLinks ?? (await outerLinksOf(context, request));
  const application = new Application(context, request, outer);
  await application.run();
  return context.result();
}

class Application {
  readonly #context: ApplyContext;
  readonly #request: ApplyRequest;
  readonly #trees: ComparedTrees;
  readonly #walk: LockstepWalk;
  readonly #links: ApplyLinks;
  readonly #outer: OuterLinks;
  /** Directories that are entered and whose attributes differ. */
  readonly #due = new Set<RawPath>();
  readonly #failures: { path: RawPath; cause: Error }[] = [];
  #failureCount = 0;

  constructor(context: ApplyContext, request: ApplyRequest, outer: OuterLinks) {
    const trees = { from: context.live, to: request.source };
    this.#context = context;
    this.#request = request;
    this.#trees = { ...trees, evidence: request, mtimes: 'compared' };
    this.#outer = outer;
    this.#links = new ApplyLinks(this.#outer);
    this.#walk = new LockstepWalk({ ...trees, ...scopeOf(request, trees), evidence: request });
  }

  async run(): Promise<void> {
    let visited = 0;
    for (let visit = this.#walk.next(); visit !== null; visit = this.#walk.next()) {
      this.#assertWanted();
      await this.#attempt(visit);
      visited += 1;
      if (visited % VISITS_PER_TURN === 0) await this.#breathe(visited);
    }
    await this.#makeLinks();
    this.#throwFailures();
  }

  async #breathe(visited: number): Promise<void> {
    await nextTurn();
    this.#request.onProgress?.(visited, null);
  }

  /** Between two paths only. */
  #assertWanted(): void {
    if (this.#request.signal?.aborted !== true) return;
    this.#finishEntered();
    throw interrupted('Turning the tree');
  }

  /** Directories that are open when the work is interrupted get their modes and flags back. */
  #finishEntered(): void {
    for (const path of this.#context.unlockedPaths()) {
      const want = this.#context.source.lookup(path);
      this.#context.takeUnlocked(path);
      const isOurs = this.#request.subtreeRoots?.covers(path) ?? true;
      if (isOurs && want?.type === 'dir') finishDirectory(this.#context, path, want);
    }
  }

  async #attempt(visit: Visit): Promise<void> {
    try {
      await this.#retryingRaces(visit);
    } catch (error) {
      this.#fail(visit.path, error);
    }
  }

  /**
   * What somebody else created, removed or replaced since the directory was read is looked at anew.
   */
  async #retryingRaces(visit: Visit): Promise<void> {
    let current = visit;
    for (let races = 0; ; races += 1) {
      try {
        if (current.step === 'leave') this.#leave(current);
        else await this.#turn(current);
        return;
      } catch (error) {
        if (races === RACES_MAX || !isRace(error)) throw error;
        this.#context.live.fds.forget(visit.path);
        const from = this.#context.live.lookup(visit.path);
        current = { ...visit, from, isUnchanged: false };
      }
    }
  }

  #fail(path: RawPath, error: unknown): void {
    const failure = turnFailure(error, path);
    const isOfThisPath =
      failure instanceof GhostsnapError &&
      ['CAPTURE_FAILED', 'NOT_PERMITTED', 'RESTORE_FAILED', 'TREE_CHANGED'].includes(failure.code);
    if (!isOfThisPath) {
      // A directory that was being removed may stop the work in the middle.
      if (failure instanceof GhostsnapError && failure.code === 'INTERRUPTED')
        this.#finishEntered();
      throw failure;
    }
    this.#failureCount += 1;
    if (this.#failures.length < NAMED_FAILURES_MAX) this.#failures.push({ path, cause: failure });
  }

  #throwFailures(): void {
    const first = this.#failures[0];
    if (first === undefined) return;
    const shown = displayPath(first.path) || '.';
    const others = this.#failureCount === 1 ? '' : ` and ${this.#failureCount - 1} more`;
    const { cause } = first;
    const errno = cause instanceof GhostsnapError ? cause.data.errno : undefined;
    const why = typeof errno === 'string' ? ` (${errno})` : '';
    const hint = cause instanceof GhostsnapError ? cause.hint : undefined;
    throw new GhostsnapError('RESTORE_FAILED', `Not given back: ${shown}${others}${why}`, {
      data: {
        paths: this.#failures.map(({ path }) => displayPath(path)),
        failures: this.#failureCount,
        firstCause: cause.message,
      },
      hint: hint ?? 'Run the command as the owner of all files or as root.',
      cause,
    });
  }

  async #turn(visit: Visit): Promise<void> {
    const { path, from, to } = visit;
    if (!isChosen(visit.scope)) await this.#passThrough(visit);
    else if (to === null) await this.#turnExtra(path, from);
    else if (isBoundary(to.type) || to.type === 'socket') this.#turnUncovered(path, from, to);
    else if (from === null) await this.#turnMissing(visit, to);
    else if (isBoundary(from.type)) {
      this.#context.note(path, `a ${from.type} lies here and was left alone`);
    } else if (from.type !== to.type) await this.#turnType(visit, from, to);
    else if (from.type === 'dir') this.#enterDirectory(visit, 'both');
    else await this.#turnPair(visit, from, to);
  }

  /** On the way to a chosen path: only what the way needs. */
  async #passThrough(visit: Visit): Promise<void> {
    const { path, from, to } = visit;
    const isFromDirectory = from?.type === 'dir';
    if (to?.type !== 'dir') {
      if (isFromDirectory) this.#enterDirectory(visit, 'from');
    } else if (isFromDirectory) this.#enterDirectory(visit, 'both');
    else if (from === null) await this.#turnMissing(visit, to);
    else if (isBoundary(from.type)) {
      this.#context.note(path, `a ${from.type} lies here and was left alone`);
    } else await this.#turnType(visit, from, to);
  }

  /** Live only. What no snapshot holds is not touched; a socket belongs to its process. */
  async #turnExtra(path: RawPath, from: TreeEntry | null): Promise<void> {
    if (from === null || from.type === 'socket') return;
    if (isBoundary(from.type)) {
      this.#context.note(path, `a ${from.type} lies here and was left alone`);
    } else await removeEntry(this.#context, path, from);
  }

  #turnUncovered(path: RawPath, from: TreeEntry | null, to: TreeEntry): void {
    if (from?.type === to.type || (from !== null && isBoundary(from.type))) return;
    const what = from === null ? 'not made again' : 'not made again, what is here was left alone';
    this.#context.note(path, `a ${to.type} was here: ${what}`);
  }

  async #turnMissing(visit: Visit, to: TreeEntry): Promise<void> {
    const { path } = visit;
    if (to.type === 'dir') {
      await createEntry(this.#context, path, to);
      this.#due.add(path);
      this.#walk.enter(visit, 'to');
    } else if (to.nlink > 1) this.#links.wait(path);
    else await createEntry(this.#context, path, to);
  }

  async #turnType(visit: Visit, from: TreeEntry, to: TreeEntry): Promise<void> {
    const isSimple = from.type !== 'dir' && to.type !== 'dir';
    if (isSimple && to.nlink > 1) this.#links.wait(visit.path);
    else if (isSimple) await replaceEntry(this.#context, visit.path, { have: from, want: to });
    else if (await removeEntry(this.#context, visit.path, from)) await this.#turnMissing(visit, to);
  }

  async #turnPair(visit: Visit, from: TreeEntry, to: TreeEntry): Promise<void> {
    const { path } = visit;
    const pair = { path, from, to };
    const { signal } = this.#request;
    const difference = visit.isUnchanged ? null : await differenceBeside(this.#trees, pair, signal);
    // Before the verdict, which may take this very file for its group's anchor.
    if (difference?.kind === 'content' || (difference !== null && this.#mayShareUnchosen(from))) {
      if (to.nlink > 1) this.#links.wait(path);
      else await replaceEntry(this.#context, path, { have: from, want: to });
      return;
    }
    const verdict = this.#links.verdictOn(path, from, to);
    if (verdict === 'relink') this.#links.wait(path);
    else if (verdict === 'separate') {
      await replaceEntry(this.#context, path, { have: from, want: to });
    } else if (difference !== null || haveOtherFlags(from, to)) {
      const parentFd = this.#context.parentFd(path);
      const name = from.name;
      this.#context.step(`metadata ${to.type}`);
      applyMetadata(this.#context, { path, parentFd, name, have: from, want: to });
      this.#context.changes += 1;
    }
  }

  /** Attributes belong to the file, so a name that was not chosen would get them too. */
  #mayShareUnchosen(from: TreeEntry): boolean {
    if (from.nlink < 2) return false;
    return this.#request.subtreeRoots !== undefined || this.#outer.holds(from.ino);
  }

  #enterDirectory(visit: Visit, sides: EnteredSides): void {
    const { path, from, to } = visit;
    if (from !== null && isClosedToOwner(from, this.#context.user)) this.#context.unlock(path);
    if (isChosen(visit.scope) && from !== null && to !== null) {
      const pair = { path, from, to };
      const difference = visit.isUnchanged ? null : differenceOf(this.#trees, pair);
      if (difference !== null || haveOtherFlags(from, to)) {
        this.#due.add(path);
        this.#context.changes += 1;
      }
      // A subtree that is equal as a whole needs only the attributes of its top.
      if (this.#request.sameSubtree?.(path, from, to) === true) {
        this.#leave({ ...visit, step: 'leave' });
        return;
      }
    }
    if (namesInScope(visit.scope) !== null && from !== null) this.#sweepLeftOvers(path);
    this.#walk.enter(visit, sides);
  }

  /**
   * Where names are looked up one by one, what a killed run left beside them is looked for as well.
   */
  #sweepLeftOvers(path: RawPath): void {
    for (const { name, isDirectory } of this.#context.live.readRecords(path)) {
      if (isDirectory || !isTemporaryName(name)) continue;
      const child = joinRaw(path, name);
      if (this.#context.source.lookup(child) === null) removeFileNow(this.#context, child);
    }
  }

  #leave({ path, from, to, scope }: Visit): void {
    const wasUnlocked = this.#context.takeUnlocked(path);
    const isDue = this.#due.delete(path);
    if (!wasUnlocked && !isDue) return;
    const isOurs = isChosen(scope) || from?.type !== 'dir';
    if (isOurs && to?.type === 'dir') finishDirectory(this.#context, path, to);
    else if (from !== null) relockDirectory(this.#context, path, from);
  }

  /** After the walk, when every anchor that exists is known. */
  async #makeLinks(): Promise<void> {
    const parents = new Map<RawPath, TreeEntry>();
    let done = 0;
    for (const path of this.#links.waiting) {
      this.#assertWanted();
      try {
        this.#moveOn(parents, parentOf(path));
        await this.#makeLink(path);
      } catch (error) {
        this.#fail(path, error);
      }
      done += 1;
      if (done % VISITS_PER_TURN === 0) await this.#breathe(done);
    }
    this.#settleDirectories(parents, () => false);
  }

  /**
   * To the next directory in which links are made. Those behind get their attributes now, or as many would
   * be open at the end as the tree has; those on the way to it stay open, or it could not be reached.
   */
  #moveOn(parents: Map<RawPath, TreeEntry>, parent: RawPath): void {
    if (parents.has(parent)) return;
    this.#settleDirectories(parents, (path) => isWithin(parent, path));
    const entry = this.#context.live.lookup(parent);
    if (entry !== null) parents.set(parent, entry);
  }

  #settleDirectories(parents: Map<RawPath, TreeEntry>, stays: (path: RawPath) => boolean): void {
    for (const path of this.#context.unlockedPaths()) {
      if (stays(path)) continue;
      this.#context.takeUnlocked(path);
      try {
        this.#settleDirectory(path, parents.get(path));
      } catch (error) {
        this.#fail(path, error);
      }
    }
    for (const path of parents.keys()) if (!stays(path)) parents.delete(path);
  }

  #settleDirectory(path: RawPath, before: TreeEntry | undefined): void {
    const want = this.#context.source.lookup(path);
    const isOurs = this.#request.subtreeRoots?.covers(path) ?? true;
    if (isOurs && want?.type === 'dir') finishDirectory(this.#context, path, want);
    else if (before !== undefined) relockDirectory(this.#context, path, before);
  }

  async #makeLink(path: RawPath): Promise<void> {
    const want = this.#context.source.lookup(path);
    // A source that is a live tree may have lost it since the walk went by: then it does not want it.
    if (want === null || want.type === 'dir') return;
    const have = this.#context.live.lookup(path);
    const anchor = this.#anchorNow(want);
    if (anchor !== null && this.#tryLink(path, anchor, have)) return;
    if (have === null) await createEntry(this.#context, path, want);
    else await replaceEntry(this.#context, path, { have, want });
    const made = this.#context.live.lookup(path);
    if (made !== null && anchor === null) this.#links.setAnchor(want, path, made.ino);
  }

  /** null as well when somebody has put another file in its place meanwhile. */
  #anchorNow(want: TreeEntry): Anchor | null {
    const anchor = this.#links.anchorOf(want);
    if (anchor === null) return null;
    return this.#context.live.lookup(anchor.path)?.ino === anchor.liveIno ? anchor : null;
  }

  #tryLink(path: RawPath, anchor: Anchor, have: TreeEntry | null): boolean {
    try {
      linkEntry(this.#context, { path, anchor: anchor.path, have });
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      // fs.protected_hardlinks, or more names than an inode can have: a copy, and said so.
      if (errno !== 'EPERM' && errno !== 'EMLINK') throw error;
      this.#context.note(path, `a copy, not a hard link of ${displayPath(anchor.path)} (${errno})`);
      return false;
    }
  }
}

function scopeOf(request: ApplyRequest, trees: Pick<ComparedTrees, 'from' | 'to'>): ScopeOptions {
  if (request.outerLinks === undefined) return scopeWithLinks({ ...request, ...trees });
  return request.candidates === undefined ? {} : { candidates: request.candidates };
}

async function outerLinksOf(
  { live, source }: ApplyContext,
  { links, subtreeRoots: paths, signal }: ApplyRequest,
): Promise<OuterLinks> {
  if (links !== 'across' || paths === undefined) return NO_OUTER_LINKS;
  return await findOuterLinks({ live, source, paths, below: 'turned', signal });
}

function removeFileNow(context: ApplyContext, path: RawPath): void {
  const parentFd = context.openForChange(path);
  context.step('sweep');
  unlinkAt(parentFd, baseOf(path));
}

function haveOtherFlags(have: TreeEntry, want: TreeEntry): boolean {
  if (have.flags === undefined || want.flags === undefined) return false;
  return ((have.flags ^ want.flags) & LOCKING_FLAGS) !== 0;
}

/** A plain user's own directory that they can't list or enter as it stands. */
function isClosedToOwner(entry: TreeEntry, user: number): boolean {
  return user !== 0 && entry.uid === user && (entry.mode & 0o500) !== 0o500;
}

const RACE_ERRNOS = new Set(['EEXIST', 'ENOENT', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'ESTALE']);

function isRace(error: unknown): boolean {
  if (!(error instanceof GhostsnapError)) return RACE_ERRNOS.has(errnoOf(error));
  if (error.code === 'TREE_CHANGED') return true;
  return typeof error.data.errno === 'string' && RACE_ERRNOS.has(error.data.errno);
}
