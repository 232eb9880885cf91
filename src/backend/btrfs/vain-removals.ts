/**
 * Removing what was armed in vain, while nobody waits.
 *
 * Removing a subvolume waits for transactions of everybody on the filesystem, and the one who drops what
 * was armed is about to take a snapshot that a tool waits for. So it goes on a thread, with a descriptor
 * of its own. What a crash leaves is removed when catalog and disk are compared; the catalog keeps no stamp
 * that could pass over it, as arming changes the directory.
 *
 * While one can't be removed nothing more is armed in its workspace, so that they never pile up. It is tried
 * again after so many refusals: counted, not timed, as a workspace that nobody arms needs nothing.
 */
import type { WorkspaceId } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { WorkspaceRef } from '../backend.ts';
import { errnoOf } from '../syscall-failure.ts';
import { RENAME_NOREPLACE, renameAt } from '../syscalls-entry-linux.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { removeSubvolume } from './remove-subvolume.ts';
import { isSubvolumeRoot } from './snapshots.ts';
import { ghostDirectoryOf } from './workspace-directory.ts';

/** Beyond these nothing is armed: removing does not keep up with it. */
const UNDER_WAY_MAX = 32;

/** Refusals between two tries: what is in the way (a send, a mount) mostly ends by itself. */
export const REFUSALS_PER_TRY = 16;

interface Failed {
  /** What is still there, by the name it had. */
  readonly names: Set<string>;
  reason: string;
  refusals: number;
}

export class VainRemovals {
  /** By the path of what is removed. */
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #failed = new Map<WorkspaceId, Failed>();

  /**
   * Why nothing more should be armed in the workspace; null: nothing against it. Each REFUSALS_PER_TRY-th
   * refusal for what could not be removed begins to remove it again.
   */
  refusal(ref: WorkspaceRef): string | null {
    if (this.#underWay.size >= UNDER_WAY_MAX) {
      return 'what was armed before is still being removed';
    }
    const failed = this.#failed.get(ref.id);
    if (failed === undefined) return null;
    failed.refusals += 1;
    if (failed.refusals % REFUSALS_PER_TRY === 0) {
      for (const name of failed.names) this.begin(ref, name);
    }
    return `what was armed before cannot be removed: ${failed.reason}`;
  }

  /** @param name in the workspace's directory of the pool: of a subvolume that was made there */
  begin(ref: WorkspaceRef, name: string): void {
    const path = `${ghostDirectoryOf(ref)}/${name}`;
    if (this.#underWay.has(path)) return;
    const removal = remove(ref, name).then(
      () => this.#succeeded(ref, name),
      (error: unknown) => this.#failedWith(ref, name, error),
    );
    this.#underWay.set(
      path,
      removal.finally(() => this.#underWay.delete(path)),
    );
  }

  #succeeded({ id }: WorkspaceRef, name: string): void {
    const failed = this.#failed.get(id);
    failed?.names.delete(name);
    if (failed?.names.size === 0) this.#failed.delete(id);
  }

  #failedWith({ id }: WorkspaceRef, name: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const failed = this.#failed.get(id) ?? { names: new Set(), reason, refusals: 0 };
    failed.names.add(name);
    failed.reason = reason;
    this.#failed.set(id, failed);
  }

  /** Until everything that was begun has ended, one way or the other. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }
}

async function remove(ref: WorkspaceRef, name: string): Promise<void> {
  let parentFd: number;
  try {
    parentFd = openAt(
      AT_FDCWD,
      rawFromText(ghostDirectoryOf(ref)),
      O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
    );
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    const doomed = `doomed_${name}`;
    if ((await removeSubvolume({ parentFd, name }, 'at-once-only')) === 'needs-emptying') {
      // While it is emptied it has no name under which it could be taken for a snapshot.
      renameAt(parentFd, name, parentFd, doomed, RENAME_NOREPLACE);
    } else if (!isSubvolumeRoot(parentFd, doomed)) return;
    // An earlier try may have come so far.
    await removeSubvolume({ parentFd, name: doomed }, 'any-way');
  } finally {
    closeFd(parentFd);
  }
}
