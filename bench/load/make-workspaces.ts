/**
 * Many workspaces in one pool, at once: each a writable snapshot of one template tree, registered as
 * `init` would have it.
 *
 * The disk is written without a sync each: a benchmark's preparation ends with one for all. The trees
 * lie in many directories, as snapshots that share one wait for each other on its lock.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createSubvolume,
  createSubvolumeSnapshot,
  subvolumeInfo,
  syncFilesystem,
} from '../../src/backend/btrfs/ioctl.ts';
import {
  AT_FDCWD,
  closeFd,
  O_DIRECTORY,
  O_RDONLY,
  openAt,
} from '../../src/backend/syscalls-linux.ts';
import { emptyState } from '../../src/core/fold-event.ts';
import { nextUlid, type Ulid, type WorkspaceId, workspaceId } from '../../src/core/ids.ts';
import { step } from '../../src/core/step.ts';
import type { OpenPool } from '../../src/daemon/open-pool.ts';

export interface MadeWorkspace {
  readonly id: WorkspaceId;
  readonly path: string;
}

const GROUPS = 256;
const AT_ONCE = 64;

export async function makeWorkspaces(
  parts: OpenPool,
  count: number,
  fillTemplate: (directory: string) => void,
): Promise<readonly MadeWorkspace[]> {
  const { root, name: pool } = parts.record;
  const rootFd = openAt(AT_FDCWD, root, O_RDONLY | O_DIRECTORY);
  createSubvolume(rootFd, 'template');
  const template = join(root, 'template');
  fillTemplate(template);
  const sourceFd = openAt(AT_FDCWD, template, O_RDONLY | O_DIRECTORY);
  await syncFilesystem(rootFd);
  const groups: number[] = [];
  for (let group = 0; group < GROUPS; group += 1) {
    const directory = join(root, 'work', String(group));
    mkdirSync(directory, { recursive: true });
    groups.push(openAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY));
  }
  const made: MadeWorkspace[] = [];
  let last: Ulid | '' = '';
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      last = nextUlid(last, Date.now(), parts.entropy.ulidRandom());
      const id = workspaceId(last);
      const group = index % GROUPS;
      const directory = `w${index}`;
      const path = join(root, 'work', String(group), directory);
      const parentFd = groups[group] ?? -1;
      await createSubvolumeSnapshot({ parentFd, sourceFd, name: directory, access: 'writable' });
      const fd = openAt(parentFd, directory, O_RDONLY | O_DIRECTORY);
      const { uuid } = subvolumeInfo(fd);
      closeFd(fd);
      const own = join(root, '.ghostsnap', id);
      mkdirSync(own, { mode: 0o700 });
      const record = {
        ...{ format: 1, id, path, phase: 'active', anchor: uuid, subvolumes: [uuid] },
        ...{ origin: 'subvolume', reachedBy: 'place' },
      };
      writeFileSync(join(own, 'workspace.json'), `${JSON.stringify(record)}\n`, { mode: 0o600 });
      register(parts, id, path, pool);
      made.push({ id, path });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await syncFilesystem(rootFd);
  for (const fd of [...groups, sourceFd, rootFd]) closeFd(fd);
  return made;
}

function register(parts: OpenPool, id: WorkspaceId, path: string, pool: string): void {
  let state = emptyState(id);
  const commands = [
    { type: 'create-workspace', path, backend: 'btrfs', pool },
    { type: 'activate-workspace' },
  ] as const;
  const events = commands.flatMap((command) => {
    const result = step(state, command, parts.clock.nowMs());
    if (!result.ok) throw new Error(result.conflict.message);
    state = result.state;
    return result.events;
  });
  parts.catalog.commit(id, events, state, 'process-crash');
}
