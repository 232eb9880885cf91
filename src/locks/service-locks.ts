/**
 * The locks of a service: it holds the whole pool and hands out its workspaces itself.
 *
 * One lock between processes (pool-gate.ts) in place of one a workspace, so that tens of thousands of
 * workspaces take no files and no descriptors. Inside the process a name has one holder, and those who
 * wait get it in order. As nobody else can come between, a holder that comes back is told that
 * nothing has changed. What a process that died before had locked is told to the first holder of each name.
 */
import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { assert, GhostsnapError } from '../core/errors.ts';
import type { Lock, LockOptions, Locks } from '../engine/ports.ts';
import { LockFile, readHolder } from './lock-file.ts';
import { gatePath } from './pool-gate.ts';

export interface HoldPoolOptions {
  /** Absolute; of the pool's locks. */
  readonly directory: string;
  /** Shown to those who are refused meanwhile. */
  readonly purpose: string;
  /** Milliseconds to wait for commands that are at work in the pool. */
  readonly waitMs: number;
}

/** Disposing gives the pool back. */
export interface ServiceLocks extends Locks, Disposable {
  /** Whether a service that died had the pool before: every workspace may have something unsettled. */
  readonly isInherited: boolean;
  /**
   * Every workspace of the pool was looked at since this service holds it. Without it a pool that was
   * inherited is given back as it was found, and whoever comes next looks again.
   */
  allLookedAt(): void;
}

/** A command at work takes milliseconds, a rollback seconds. */
const PAUSE_MS = 20;

/** @throws GhostsnapError LOCKED when others are at work, or another service has the pool, for too long */
export async function holdPool(options: HoldPoolOptions): Promise<ServiceLocks> {
  const { directory, purpose, waitMs } = options;
  const path = gatePath(directory);
  const startedMs = performance.now();
  for (;;) {
    const gate = new LockFile(path);
    const outcome = gate.tryLock('exclusive');
    if (outcome === 'locked') {
      const isInherited = gate.isSigned();
      gate.sign({ pid: process.pid, purpose, sinceMs: Date.now() });
      return new HeldPool(directory, gate, isInherited);
    }
    gate.close();
    if (outcome === 'busy' && performance.now() - startedMs >= waitMs) throw inUse(path);
    await pause(PAUSE_MS);
  }
}

function inUse(path: string): GhostsnapError {
  const holder = readHolder(path);
  return new GhostsnapError('LOCKED', 'Another process is at work in this pool.', {
    hint: 'Try again when it has ended; a pool has one service.',
    data: holder === null ? {} : { pid: holder.pid, purpose: holder.purpose },
  });
}

interface Waiter {
  readonly options: LockOptions;
  readonly resolve: (lock: Lock) => void;
  readonly reject: (error: GhostsnapError) => void;
  end(): void;
}

class HeldPool implements ServiceLocks {
  readonly #directory: string;
  readonly #gate: LockFile;
  /** Names that commands have locked at some time: their files may say more, and are asked once. */
  readonly #lockedByCommands: Set<string>;
  readonly isInherited: boolean;
  #areAllLookedAt = false;
  /** Who had each name last; one that is missing was never had. */
  readonly #last = new Map<string, number>();
  readonly #held = new Map<string, { readonly purpose: string; readonly waiters: Waiter[] }>();
  readonly #unsettled = new Set<string>();
  #isDisposed = false;

  constructor(directory: string, gate: LockFile, isInherited: boolean) {
    this.#directory = directory;
    this.#gate = gate;
    this.#lockedByCommands = namesIn(directory);
    this.isInherited = isInherited;
  }

  allLookedAt(): void {
    this.#areAllLookedAt = true;
  }

  acquire(name: string, options: LockOptions & { signal?: AbortSignal }): Promise<Lock> {
    assert(!this.#isDisposed, 'a pool that was given back is not locked');
    const { signal } = options;
    if (signal?.aborted === true) return Promise.reject(interrupted(name, signal));
    const held = this.#held.get(name);
    if (held === undefined) return Promise.resolve(this.#hold(name, options));
    return new Promise((resolve, reject) => {
      const giveUp = (error: GhostsnapError): void => {
        held.waiters.splice(held.waiters.indexOf(waiter), 1);
        waiter.end();
        reject(error);
      };
      const timer = setTimeout(() => giveUp(locked(name, held.purpose)), options.waitMs);
      const onAbort = (): void => giveUp(interrupted(name, signal));
      signal?.addEventListener('abort', onAbort, { once: true });
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = { options, resolve, reject, end };
      held.waiters.push(waiter);
    });
  }

  acquireSync(name: string, options: LockOptions): Lock {
    assert(!this.#isDisposed, 'a pool that was given back is not locked');
    const held = this.#held.get(name);
    // Blocking here would keep the holder, who is of this thread, from ever ending.
    if (held !== undefined) throw locked(name, held.purpose);
    return this.#hold(name, options);
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const isKnown = !this.isInherited || this.#areAllLookedAt;
    if (isKnown && this.#unsettled.size === 0 && this.#held.size === 0) this.#gate.wipe();
    this.#gate.close();
  }

  #hold(name: string, options: LockOptions, waiters: Waiter[] = []): Lock {
    const { holder = 0, purpose } = options;
    const last = this.#last.get(name);
    const isInherited =
      this.#unsettled.delete(name) || (last === undefined && this.#isLeftByOthers(name));
    const isContinued = holder !== 0 && last === holder && !isInherited;
    if (last !== holder) this.#last.set(name, holder);
    this.#held.set(name, { purpose, waiters });
    let isHeld = true;
    return {
      ...{ name, isInherited, isContinued },
      leaveUnsettled: () => void this.#unsettled.add(name),
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#release(name, waiters);
      },
    };
  }

  #release(name: string, waiters: Waiter[]): void {
    const next = waiters.shift();
    this.#held.delete(name);
    if (next === undefined) return;
    next.end();
    next.resolve(this.#hold(name, next.options, waiters));
  }

  /** A command that died with the workspace's own lock has left its line there. */
  #isLeftByOthers(name: string): boolean {
    if (this.isInherited && !this.#areAllLookedAt) return true;
    if (!this.#lockedByCommands.delete(name)) return false;
    return readHolder(`${this.#directory}/${name}.lock`) !== null;
  }
}

const SUFFIX = '.lock';

function namesIn(directory: string): Set<string> {
  const files = readdirSync(directory).filter((file) => file.endsWith(SUFFIX));
  return new Set(files.map((file) => file.slice(0, -SUFFIX.length)));
}

function locked(name: string, purpose: string): GhostsnapError {
  return new GhostsnapError('LOCKED', `The service itself is at work here (${purpose}).`, {
    hint: 'Try again when it has ended.',
    data: { lock: name, purpose },
  });
}

function interrupted(name: string, signal: AbortSignal | undefined): GhostsnapError {
  return new GhostsnapError('INTERRUPTED', 'Interrupted while waiting for the workspace.', {
    hint: 'Nothing was changed; ask again.',
    data: { lock: name },
    cause: signal?.reason,
  });
}
