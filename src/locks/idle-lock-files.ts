/**
 * Lock files that are open and not in use, kept for the next time: opening and closing cost more than
 * locking, and a session locks the same name before every snapshot.
 *
 * A file is either here or in use, never both, so that two users of one name in a process have a
 * descriptor each and conflict. The number is bounded: an engine may serve thousands of workspaces.
 */
import { LockFile } from './lock-file.ts';

const IDLE_MAX = 32;

export class IdleLockFiles implements Disposable {
  readonly #idle = new Map<string, LockFile>();
  #isDisposed = false;

  /** @throws GhostsnapError NOT_PERMITTED, POOL_FULL, LIMIT_EXCEEDED, IO */
  take(path: string): LockFile {
    const file = this.#idle.get(path);
    if (file === undefined) return new LockFile(path);
    this.#idle.delete(path);
    return file;
  }

  /** Unlocked, from now on anybody's. */
  giveBack(file: LockFile): void {
    if (this.#isDisposed || this.#idle.has(file.path)) {
      file.close();
      return;
    }
    this.#idle.set(file.path, file);
    if (this.#idle.size <= IDLE_MAX) return;
    // The map is in the order of insertion: the first was not used for the longest time.
    for (const [path, oldest] of this.#idle) {
      this.#idle.delete(path);
      oldest.close();
      return;
    }
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const file of this.#idle.values()) file.close();
    this.#idle.clear();
  }
}
