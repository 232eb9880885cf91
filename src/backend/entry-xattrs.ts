/**
 * Extended attributes of an entry, ACLs included, read and written without following a symlink.
 *
 * An entry that is not open is reached as /proc/self/fd/<parent>/<name>: the parent is a
 * descriptor, so no component of a path is resolved again, and the name itself is not followed.
 */
import type { RawName } from '../core/raw-path.ts';
import { errnoOf } from './syscall-failure.ts';
import { getXattr, listXattrs } from './syscalls-entry-linux.ts';
import { getXattrFd, listXattrsFd } from './syscalls-inode-linux.ts';

export interface Xattr {
  readonly name: string;
  readonly value: Uint8Array;
}

export const NO_XATTRS: readonly Xattr[] = [];

/** A path that leads to an entry through its parent's descriptor. */
export function procPath(parentFd: number, name: RawName | ''): string {
  return name === '' ? `/proc/self/fd/${parentFd}/.` : `/proc/self/fd/${parentFd}/${name}`;
}

/** Sorted by name. Attributes that vanish while they are read are left out. */
export function readXattrsAt(parentFd: number, name: RawName | ''): readonly Xattr[] {
  const path = procPath(parentFd, name);
  return collect(listXattrs(path), (attribute) => getXattr(path, attribute));
}

export function readXattrsOfFd(fd: number): readonly Xattr[] {
  return collect(listXattrsFd(fd), (attribute) => getXattrFd(fd, attribute));
}

/** XFS shows root its own encoding of ACLs beside the portable one; two names of one thing. */
const XFS_ACL_NAME = /^trusted\.SGI_ACL_(FILE|DEFAULT)$/;

function collect(
  names: readonly string[],
  read: (name: string) => Uint8Array | null,
): readonly Xattr[] {
  if (names.length === 0) return NO_XATTRS;
  const found: Xattr[] = [];
  for (const name of [...names].sort()) {
    if (XFS_ACL_NAME.test(name)) continue;
    const value = readPermitted(name, read);
    if (value !== null) found.push({ name, value });
  }
  return found;
}

/**
 * What the kernel lists but refuses to show is not captured by anybody: trusted.* to a plain user.
 */
function readPermitted(name: string, read: (name: string) => Uint8Array | null): Uint8Array | null {
  try {
    return read(name);
  } catch (error) {
    const isUserAttribute = name.startsWith('user.');
    if (!isUserAttribute && ['EPERM', 'EACCES', 'EOPNOTSUPP'].includes(errnoOf(error))) return null;
    throw error;
  }
}

export function haveSameXattrs(a: readonly Xattr[], b: readonly Xattr[]): boolean {
  if (a.length !== b.length) return false;
  return a.every((x, i) => {
    const y = b[i];
    return y !== undefined && x.name === y.name && Buffer.compare(x.value, y.value) === 0;
  });
}
