/**
 * Giving an inode its owner, xattrs, mode, times and flags.
 *
 * The order is the one in which nothing undoes what came before: changing the owner clears setuid
 * and capabilities, setting an ACL changes mode bits, and every change moves times. So: owner,
 * xattrs, mode, mtime, and last the flags that forbid any change.
 */
import type { RawName, RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import { type ApplyContext, ownerText, xattrText } from './apply-context.ts';
import { RawStat } from './directory-listing.ts';
import { procPath, readXattrsAt, readXattrsOfFd, type Xattr } from './entry-xattrs.ts';
import { chmodFd, chownAt, removeXattr, setMtimeAt, setXattr } from './syscalls-entry-linux.ts';
import {
  chownFd,
  listXattrsFd,
  removeXattrFd,
  setMtimeFd,
  setXattrFd,
} from './syscalls-inode-linux.ts';
import { chmodAt, clearFlagsAt, isDenied, LOCKING_FLAGS, setFlagsAt } from './unlock-inode.ts';

/** Everything but the flags, for a file that was just created and is still open. */
export function finishNewFile(
  context: ApplyContext,
  file: { readonly fd: number; readonly path: RawPath; readonly want: TreeEntry },
): void {
  const { fd, path, want } = file;
  // Asked of the kernel, not assumed: a directory with setgid gives its group to what is made in
  // it. Where it is right already, a chown would be one more change of the inode on disk.
  if (!isOwnedAs(fd, want)) giveOwner(context, path, want, (uid, gid) => chownFd(fd, uid, gid));
  const wanted = context.source.readXattrs(path);
  if (wanted.length > 0 || listXattrsFd(fd).length > 0) {
    giveXattrs(
      context,
      { path, wanted, have: readXattrsOfFd(fd) },
      {
        set: (name, value) => setXattrFd(fd, name, value),
        remove: (name) => removeXattrFd(fd, name),
      },
    );
  }
  chmodFd(fd, want.mode);
  setMtimeFd(fd, want.mtimeNs);
}

const ownerStat = new RawStat();

function isOwnedAs(fd: number, { uid, gid }: TreeEntry): boolean {
  return ownerStat.readFd(fd) === 0 && ownerStat.word(5) === uid && ownerStat.word(6) === gid;
}

export interface PlacedEntry {
  readonly parentFd: number;
  /** '' with the descriptor of the entry itself: the root of the tree. */
  readonly name: RawName | '';
  readonly path: RawPath;
  readonly have: TreeEntry;
  readonly want: TreeEntry;
}

/** Turns the metadata of an existing entry of any type into what is wanted, on the same inode. */
export function applyMetadata(context: ApplyContext, entry: PlacedEntry): void {
  const { path, parentFd, name, have, want } = entry;
  const haveFlags = (have.flags ?? 0) & LOCKING_FLAGS;
  if (haveFlags !== 0) clearFlagsAt(parentFd, nameOrDot(name));
  const isOwnerChanged = have.uid !== want.uid || have.gid !== want.gid;
  if (isOwnerChanged) {
    giveOwner(context, path, want, (uid, gid) => chownAt(parentFd, nameOrDot(name), uid, gid));
  }
  const isAclChanged = applyXattrs(context, entry);
  // chown(2) clears setuid and setgid.
  const isModeDue = have.mode !== want.mode || isAclChanged || isOwnerChanged;
  if (isModeDue && want.type !== 'symlink') {
    context.permitted(path, `mode ${want.mode.toString(8)} not given back`, () =>
      chmodAt(parentFd, name, want.mode),
    );
  }
  context.permitted(path, 'modification time not given back', () => {
    // Of the root by its descriptor: '.' is looked up, which the mode may forbid by now.
    if (name === '') setMtimeFd(parentFd, want.mtimeNs);
    else setMtimeAt(parentFd, name, want.mtimeNs);
  });
  const wantFlags = (want.flags ?? 0) & LOCKING_FLAGS;
  if (wantFlags !== 0) {
    context.permitted(path, 'immutable or append-only flag not given back', () =>
      setFlagsAt(parentFd, nameOrDot(name), wantFlags),
    );
  }
}

function nameOrDot(name: RawName | ''): RawName {
  return (name === '' ? '.' : name) as RawName;
}

/** The group alone may be permitted where the owner is not. */
function giveOwner(
  context: ApplyContext,
  path: RawPath,
  want: TreeEntry,
  chown: (uid: number, gid: number) => void,
): void {
  try {
    chown(want.uid, want.gid);
  } catch (error) {
    if (!isDenied(error)) throw error;
    const isGroupGiven = attempt(() => chown(UNCHANGED_ID, want.gid));
    const isNoted = !isGroupGiven || want.uid !== context.user;
    if (isNoted) context.note(path, ownerText(want.uid, want.gid));
  }
}

const UNCHANGED_ID = 0xffff_ffff;

function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (!isDenied(error)) throw error;
    return false;
  }
}

/** True when an ACL was set or removed: the mode has moved with it. */
function applyXattrs(context: ApplyContext, entry: PlacedEntry): boolean {
  const { parentFd, name, path, have } = entry;
  const wanted = context.source.readXattrs(path);
  const present = readXattrsAt(parentFd, name);
  if (wanted.length === 0 && present.length === 0) return false;
  const place = procPath(parentFd, name);
  let isOpened = false;
  // A plain user needs write permission on the inode for user.*; the mode is set afterwards anyway.
  const opening = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      const isOwn = context.user === have.uid && have.type !== 'symlink' && !isOpened;
      if (!isDenied(error) || !isOwn) throw error;
      isOpened = true;
      chmodAt(parentFd, name, have.mode | 0o600);
      action();
    }
  };
  const isAclChanged = giveXattrs(
    context,
    { path, wanted, have: present },
    {
      set: (attribute, value) => opening(() => setXattr(place, attribute, value)),
      remove: (attribute) => opening(() => removeXattr(place, attribute)),
    },
  );
  return isAclChanged || isOpened;
}

interface XattrWriter {
  readonly set: (name: string, value: Uint8Array) => void;
  readonly remove: (name: string) => void;
}

function giveXattrs(
  context: ApplyContext,
  attributes: { path: RawPath; wanted: readonly Xattr[]; have: readonly Xattr[] },
  writer: XattrWriter,
): boolean {
  const { path, wanted, have } = attributes;
  let isAclChanged = false;
  const change = (name: string, action: () => void): void => {
    context.permitted(path, xattrText(name), action);
    if (name.startsWith('system.posix_acl_')) isAclChanged = true;
  };
  for (const { name } of have) {
    if (!wanted.some((other) => other.name === name)) change(name, () => writer.remove(name));
  }
  for (const { name, value } of wanted) {
    const present = have.find((other) => other.name === name);
    if (present !== undefined && Buffer.compare(present.value, value) === 0) continue;
    change(name, () => writer.set(name, value));
  }
  return isAclChanged;
}
