/**
 * Whether an object that is in the store already may stand for content that was just read.
 *
 * A capture refers to what it finds under the right name instead of writing it again, so it looks first:
 * the object is read and held against its name. One that is missing, torn or has a flipped bit is none;
 * the capture then writes its own, which takes the damaged one's place and heals every snapshot that
 * refers to it. It costs about what hashing the content has cost, and only where something is saved.
 */

import { done } from '../steps.ts';
import { errnoOf } from '../syscall-failure.ts';
import { closeFd, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { FormatError } from './binary-codec.ts';
import { proveBlob } from './blob-file.ts';
import { type ObjectFiles, objectName, provenDirectory } from './object-files.ts';
import type { ObjectId } from './stored-entry.ts';

/** What "no whole file has this name" looks like; EIO: the disk has lost it, writing goes elsewhere. */
const UNFIT = new Set(['ENOENT', 'ELOOP', 'EISDIR', 'EIO']);

/** Objects with random names (clones) can't be proven and are not asked for. */
export function isProvenObject(
  files: ObjectFiles,
  kind: 'directory' | 'blob',
  id: ObjectId,
): boolean {
  let fd = -1;
  try {
    fd = openAt(files.fd, objectName(kind, id), O_RDONLY | O_NOFOLLOW);
    if (kind === 'directory') provenDirectory(fd, id);
    else done(proveBlob(fd, id));
    return true;
  } catch (error) {
    if (error instanceof FormatError || UNFIT.has(errnoOf(error))) return false;
    throw error;
  } finally {
    if (fd >= 0) closeFd(fd);
  }
}
