/**
 * The gate before the locks of a pool's workspaces: `<directory>/pool.lock`.
 *
 * Whoever locks a workspace holds the gate shared meanwhile. A service holds it alone for as long as it
 * runs, and needs no lock file a workspace. Its line in the file is wiped when the service ends in order:
 * one that is still there is that of a service that died, and what it was doing in any of the workspaces
 * may be on disk and not in the catalog. Only the next service wipes it: others come for one workspace
 * and know nothing of the rest.
 */
import { GhostsnapError } from '../core/errors.ts';
import { isAlive, LockFile, readHolder } from './lock-file.ts';

export class PoolGate implements Disposable {
  readonly #path: string;
  /** Kept open between two locks: opening costs more than locking. */
  #file: LockFile | null = null;
  #users = 0;

  /** @param directory absolute; of the pool's locks */
  constructor(directory: string) {
    this.#path = gatePath(directory);
  }

  /**
   * Goes in with others; `leave` takes it back.
   * @returns whether a service that died has left something unsettled
   * @throws GhostsnapError LOCKED while a service holds the pool
   */
  enter(): 'settled' | 'unsettled' {
    const file = this.#users > 0 && this.#file !== null ? this.#file : this.#lockShared();
    this.#users += 1;
    return file.isSigned() ? 'unsettled' : 'settled';
  }

  leave(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#file?.unlock();
  }

  [Symbol.dispose](): void {
    if (this.#users === 0) this.#close();
  }

  #lockShared(): LockFile {
    for (;;) {
      const file = this.#file ?? new LockFile(this.#path);
      // One whose locking fails is closed: it is not kept before it is known to be good.
      this.#file = null;
      const outcome = file.tryLock('shared');
      if (outcome === 'locked') {
        this.#file = file;
        return file;
      }
      file.close();
      if (outcome === 'busy') throw served(this.#path);
    }
  }

  #close(): void {
    this.#file?.close();
    this.#file = null;
  }
}

export function gatePath(directory: string): string {
  return `${directory}/pool.lock`;
}

function served(path: string): GhostsnapError {
  const holder = readHolder(path);
  const who = holder === null || !isAlive(holder.pid) ? 'A service' : `Process ${holder.pid}`;
  return new GhostsnapError('LOCKED', `${who} serves this pool and works in it alone.`, {
    hint: 'Ask the service, or stop it first.',
    data: holder === null ? {} : { pid: holder.pid, purpose: holder.purpose },
  });
}
