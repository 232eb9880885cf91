/**
 * Filesystems that only this machine writes to, and that move times as POSIX says: ext, XFS, btrfs, tmpfs,
 * f2fs, bcachefs, ZFS. Events of a network or stacked filesystem miss what others do to it, and the times
 * of its directories say what they like.
 */
const LOCAL_FILESYSTEMS: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0xf2f52010, 0xca451a4e, 0x2fc12fc1,
]);

/** `magic`: as statfs(2) gives it. */
export function isLocalFilesystem(magic: number): boolean {
  return LOCAL_FILESYSTEMS.has(magic);
}
