/**
 * The filesystems that a person could have a project on: one mount point of each.
 *
 * Filesystems that only show the kernel's own state are left out; the kernel's list says which need
 * no device, and of those the ones that hold files are named here. Behind some of these stands a server or a
 * program that may not answer, and whoever asks waits in the kernel: another process asks first.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { type MountPoint, parseMountinfo } from '../backend/btrfs/mount-table.ts';
import { type FilesystemProbe, probeFilesystem } from '../backend/probe.ts';
import { GhostsnapError } from '../core/errors.ts';

const HOLDS_FILES_WITHOUT_DEVICE =
  /^(tmpfs|overlay|nfs4?|cifs|smb3|9p|virtiofs|zfs|ceph|fuse(blk)?(\..+)?)$/;
const ASKS_SOMEBODY = /^(nfs4?|cifs|smb3|9p|ceph|fuse(blk)?(\..+)?)$/;
const ANSWER_MS_MAX = 2000;
const KERNEL_PLACES = /^\/(proc|sys|dev)(\/|$)/;

export interface MountedFilesystem {
  readonly mountPoint: string;
  readonly type: string;
  /** null: `init` would refuse. */
  readonly backend: 'btrfs' | 'store' | null;
  readonly reason: string;
  readonly freeBytes: number;
}

/** In order of mount points; a filesystem mounted twice is listed at its first place. */
export function listMountedFilesystems(): readonly MountedFilesystem[] {
  const withoutDevice = typesWithoutDevice();
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'))
    .filter((mount) => mayHoldProjects(mount, withoutDevice))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const seen = new Set<string>();
  return mounts.flatMap((mount) => {
    const found = probeMount(mount);
    if (found === null || seen.has(found.id)) return [];
    seen.add(found.id);
    return [found.filesystem];
  });
}

function typesWithoutDevice(): ReadonlySet<string> {
  const lines = readFileSync('/proc/filesystems', 'utf8').split('\n');
  return new Set(lines.flatMap((line) => (line.startsWith('nodev\t') ? [line.slice(6)] : [])));
}

function mayHoldProjects(mount: MountPoint, withoutDevice: ReadonlySet<string>): boolean {
  if (KERNEL_PLACES.test(mount.path)) return false;
  return !withoutDevice.has(mount.type) || HOLDS_FILES_WITHOUT_DEVICE.test(mount.type);
}

function probeMount(
  mount: MountPoint,
): { readonly id: string; readonly filesystem: MountedFilesystem } | null {
  const { path, type } = mount;
  if (ASKS_SOMEBODY.test(type) && !answers(path)) {
    const reason = `it has not answered for ${ANSWER_MS_MAX / 1000} seconds`;
    return {
      id: path,
      filesystem: { mountPoint: path, type, backend: null, reason, freeBytes: 0 },
    };
  }
  try {
    // Containers mount single files (resolv.conf): no project lives on one.
    if (!statSync(path).isDirectory()) return null;
    const probe = probeFilesystem(path);
    return { id: probe.id, filesystem: { mountPoint: path, type, ...verdict(probe) } };
  } catch (error) {
    const reason = error instanceof GhostsnapError ? error.message : String(error);
    return {
      id: path,
      filesystem: { mountPoint: path, type, backend: null, reason, freeBytes: 0 },
    };
  }
}

/** By coreutils' stat, which can be killed where it waits. What it says is asked again. */
function answers(path: string): boolean {
  const { error } = spawnSync('stat', ['--file-system', '--', path], {
    ...{ stdio: 'ignore', timeout: ANSWER_MS_MAX, killSignal: 'SIGKILL' },
  });
  return error === undefined || !('code' in error) || error.code !== 'ETIMEDOUT';
}

function verdict(
  probe: FilesystemProbe,
): Pick<MountedFilesystem, 'backend' | 'reason' | 'freeBytes'> {
  const { freeBytes } = probe;
  if (probe.mountOptions.includes('ro')) {
    return { backend: null, reason: 'mounted read-only', freeBytes };
  }
  if (probe.isBtrfs) {
    const slow = probe.isRoot || probe.allowsUserSubvolumeRemoval;
    const reason = slow
      ? 'snapshots by the filesystem'
      : 'snapshots by the filesystem; deleting them is slower without user_subvol_rm_allowed';
    return { backend: 'btrfs', reason, freeBytes };
  }
  if (probe.canReflink) return { backend: 'store', reason: 'blobs share blocks', freeBytes };
  const reason = probe.canWrite ? 'blobs are compressed copies' : 'not writable at its top';
  return { backend: 'store', reason, freeBytes };
}
