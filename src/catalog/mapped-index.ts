/**
 * The index that SQLite's connections share, `<catalog>-shm`, kept writable on a full btrfs.
 *
 * SQLite maps it into memory. On a filesystem that copies on write a store into a mapped page needs
 * new space, and when there is none the kernel can only end the process with SIGBUS: no error, no message,
 * in the middle of a rollback. Without copy on write the page goes where it was. So the file is made here, empty
 * and with that flag, before SQLite would make it; SQLite takes the file it finds, and removes it with
 * the last connection. It is rebuilt after every crash: nothing is lost with its checksums.
 */
import { closeSync, existsSync, openSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  BTRFS_MAGIC,
  FS_NOCOW_FL,
  getInodeFlags,
  setInodeFlags,
} from '../backend/syscalls-inode-linux.ts';

/** Does nothing where the file is there already, or the filesystem writes in place. */
export function makeMappedIndex(catalogFile: string): void {
  const file = `${catalogFile}-shm`;
  if (existsSync(file) || statfsSync(dirname(file)).type !== BTRFS_MAGIC) return;
  try {
    const fd = openSync(file, 'a', 0o600);
    try {
      setInodeFlags(fd, getInodeFlags(fd) | FS_NOCOW_FL);
    } finally {
      closeSync(fd);
    }
  } catch {
    // A disk that is full or read-only, or a reader without the right: SQLite makes its own, or says why not.
  }
}
