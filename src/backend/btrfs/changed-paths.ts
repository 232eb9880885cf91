/**
 * Which paths may differ between two snapshots, from `btrfs send` without file contents.
 *
 * Root only: for others, and whenever the answer would not be complete, the result is null and the
 * caller compares the trees in lockstep. What is returned is a superset of the differing paths; the
 * caller compares each. The stream goes to a file without a name, as its length is not known before.
 */
import { openSync, readSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { SnapshotId } from '../../core/ids.ts';
import type { RawPath } from '../../core/raw-path.ts';
import { PathSet } from '../path-set.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import {
  closeFd,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  openAt,
} from '../syscalls-linux.ts';
import { allNamesOf } from './inode-names.ts';
import { sendWithoutData, subvolumeIdOf } from './ioctl.ts';
import { SendStreamParser } from './send-stream.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

/** Above this a walk of both trees costs less than looking the paths up one by one. */
const CANDIDATES_MAX = 200_000;

const CHUNK_BYTES = 256 * 1024;
let isRefused = false;

/** Names inside the workspace's directory: snapshots or working copies, both read-only. */
export interface SnapshotPair {
  readonly from: SnapshotId | string;
  readonly to: SnapshotId | string;
}

/** null: compare everything. @throws GhostsnapError SNAPSHOT_CORRUPT, IO */
export async function changedPaths(
  directory: WorkspaceDirectory,
  pair: SnapshotPair,
): Promise<PathSet | null> {
  if (isRefused || process.geteuid?.() !== 0) return null;
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  const fds: number[] = [];
  directory.users += 1;
  try {
    const fromFd = keep(fds, openAt(directory.fd, pair.from, flags));
    const toFd = keep(fds, openAt(directory.fd, pair.to, flags));
    const streamFd = keep(fds, openNamelessFile());
    const parentId = subvolumeIdOf(fromFd);
    await sendWithoutData({ fd: toFd, toFd: streamFd, parentId });
    const found = readStream(streamFd);
    return found === null ? null : allNamesOf({ fromFd, toFd, paths: found });
  } catch (error) {
    // Root without CAP_SYS_ADMIN (a container): the lockstep comparison needs no privilege.
    if (errnoOf(error) === 'EPERM') isRefused = true;
    if (SEND_UNAVAILABLE.has(errnoOf(error))) return null;
    throw toGhostsnapError(error, { what: 'Comparing snapshots', path: pair.to });
  } finally {
    directory.users -= 1;
    for (const fd of fds) closeFd(fd);
  }
}

/**
 * ENOSPC: the temporary folder is full. EAGAIN, EBUSY: a balance or a deduplication is running. ENOENT:
 * another process's recovery swept the working name of a comparison.
 */
const SEND_UNAVAILABLE: ReadonlySet<string> = new Set([
  'EPERM',
  'ENOSPC',
  'EAGAIN',
  'EBUSY',
  'ENOENT',
]);

function keep(fds: number[], fd: number): number {
  fds.push(fd);
  return fd;
}

/** In the temporary folder, not in the pool: a full pool must still be able to go back. */
function openNamelessFile(): number {
  return openSync(tmpdir(), O_TMPFILE | O_RDWR, 0o600);
}

function readStream(fd: number): PathSet | null {
  const paths = new PathSet();
  let count = 0;
  const parser = new SendStreamParser((path: RawPath) => {
    if (count > CANDIDATES_MAX) return;
    count += 1;
    paths.add(path);
  });
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let position = 0; ; ) {
    const length = readSync(fd, chunk, 0, CHUNK_BYTES, position);
    if (length === 0) break;
    parser.push(chunk.subarray(0, length));
    if (count > CANDIDATES_MAX) return null;
    position += length;
  }
  parser.end();
  return paths;
}
