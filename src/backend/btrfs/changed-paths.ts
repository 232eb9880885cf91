/**
 * Which paths may differ between two snapshots, from `btrfs send` without file contents.
 *
 * Root only: for others, and whenever the answer would not be complete, the result is null and the
 * caller compares the trees in lockstep. What is returned is a superset of the differing paths; the
 * caller compares each.
 *
 * The stream goes into a pipe that nobody reads before it has ended, and that is full at a few thousand
 * changes: the kernel then gives up with EAGAIN. What it takes for a change is more than comparing a
 * dozen files, so after `rm -rf` a walk is done long before a stream would be.
 */
import { readSync } from 'node:fs';
import type { SnapshotId } from '../../core/ids.ts';
import type { RawPath } from '../../core/raw-path.ts';
import { PathSet } from '../path-set.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt, openPipe } from '../syscalls-linux.ts';
import { allNamesOf } from './inode-names.ts';
import { sendWithoutData, subvolumeIdOf } from './ioctl.ts';
import { SendStreamParser } from './send-stream.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

/** A changed file takes about 250 bytes of a stream, a new one 500. */
const STREAM_BYTES_MAX = 2 * 2 ** 20;

const CHUNK_BYTES = 256 * 1024;
let isRefused = false;

/** Names inside the workspace's directory: snapshots or working copies, both read-only. */
export interface SnapshotPair {
  readonly from: SnapshotId | string;
  readonly to: SnapshotId | string;
}

interface Found {
  readonly directory: WorkspaceDirectory;
  readonly pair: SnapshotPair;
  readonly paths: PathSet | null;
}

/** One answer, whatever the number of workspaces, until it is asked for once more. */
let foundLast: Found | null = null;

/**
 * null: compare everything. A turn asks twice, for its mode and for itself, about two snapshots that
 * nobody changes: the second answer is the first. @throws GhostsnapError SNAPSHOT_CORRUPT, IO
 */
export async function changedPaths(
  directory: WorkspaceDirectory,
  pair: SnapshotPair,
): Promise<PathSet | null> {
  const last = foundLast;
  foundLast = null;
  const isKnown =
    last?.directory === directory && last.pair.from === pair.from && last.pair.to === pair.to;
  if (isKnown) return last.paths;
  const paths = await findChangedPaths(directory, pair);
  foundLast = { directory, pair, paths };
  return paths;
}

async function findChangedPaths(
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
    const stream = openPipe(STREAM_BYTES_MAX);
    keep(fds, stream.readFd);
    keep(fds, stream.writeFd);
    const parentId = subvolumeIdOf(fromFd);
    await sendWithoutData({ fd: toFd, toFd: stream.writeFd, parentId });
    return allNamesOf({ fromFd, toFd, paths: readStream(stream.readFd) });
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
 * EAGAIN: more changes than the pipe holds, or a balance or a deduplication is running, as with EBUSY.
 * ENOENT: another process's recovery swept the working name of a comparison.
 */
const SEND_UNAVAILABLE: ReadonlySet<string> = new Set(['EPERM', 'EAGAIN', 'EBUSY', 'ENOENT']);

function keep(fds: number[], fd: number): number {
  fds.push(fd);
  return fd;
}

/** What lies in the pipe, to its end: the writer is done. */
function readStream(fd: number): PathSet {
  const paths = new PathSet();
  const parser = new SendStreamParser((path: RawPath) => paths.add(path));
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (;;) {
    const length = readOrEnd(fd, chunk);
    if (length === 0) break;
    parser.push(chunk.subarray(0, length));
  }
  parser.end();
  return paths;
}

/** 0: the pipe is empty. */
function readOrEnd(fd: number, chunk: Buffer): number {
  try {
    return readSync(fd, chunk, 0, chunk.length, null);
  } catch (error) {
    if (errnoOf(error) === 'EAGAIN') return 0;
    throw error;
  }
}
