/**
 * Removing what was armed in vain, while nobody waits.
 *
 * Removing a subvolume waits for transactions of everybody on the filesystem, and the one who drops what
 * was armed is about to take a snapshot that a tool waits for. So it goes on a thread, with a descriptor
 * of its own. What a crash leaves is removed when catalog and disk are compared; the catalog keeps no stamp
 * that could pass over it, as arming changes the directory.
 */
import type { WorkspaceId } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { WorkspaceRef } from '../backend.ts';
import { errnoOf } from '../syscall-failure.ts';
import {
  AT_FDCWD,
  closeFd,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  openAt,
  RENAME_NOREPLACE,
  renameAt,
} from '../syscalls-linux.ts';
import { removeSubvolume } from './remove-subvolume.ts';
import { ghostDirectoryOf } from './workspace-directory.ts';

/** Beyond these nothing is armed: removing does not keep up with it. */
const UNDER_WAY_MAX = 32;

export class VainRemovals {
  /** By the path of what is removed. */
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #failed = new Map<WorkspaceId, string>();

  /** Why nothing more should be armed in the workspace; null: nothing against it. */
  refusal(ref: WorkspaceRef): string | null {
    if (this.#underWay.size >= UNDER_WAY_MAX) {
      return 'what was armed before is still being removed';
    }
    const failure = this.#failed.get(ref.id);
    return failure === undefined ? null : `what was armed before cannot be removed: ${failure}`;
  }

  /** @param name in the workspace's directory of the pool: of a subvolume that was made there */
  begin(ref: WorkspaceRef, name: string): void {
    const path = `${ghostDirectoryOf(ref)}/${name}`;
    if (this.#underWay.has(path)) return;
    const removal = remove(ref, name).then(
      () => void this.#failed.delete(ref.id),
      (error: unknown) =>
        void this.#failed.set(ref.id, error instanceof Error ? error.message : String(error)),
    );
    this.#underWay.set(
      path,
      removal.finally(() => this.#underWay.delete(path)),
    );
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
    if ((await removeSubvolume({ parentFd, name }, 'at-once-only')) === 'removed') return;
    // Not by one call: while it is emptied it has no name under which it could be taken for a snapshot.
    const doomed = `doomed_${name}`;
    renameAt(parentFd, name, parentFd, doomed, RENAME_NOREPLACE);
    await removeSubvolume({ parentFd, name: doomed }, 'any-way');
  } finally {
    closeFd(parentFd);
  }
}
