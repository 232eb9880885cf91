/**
 * Reading /proc/PID/mountinfo, and finding the mounts that show a tree or lie in it.
 *
 * Pure: text in, answers out. A bind mount of the workspace elsewhere (a container's)
 * is recognised by filesystem and root, not by its path, as paths differ between namespaces.
 */

export interface MountPoint {
  /** major:minor of the superblock; the same for all mounts of one filesystem. */
  readonly device: string;
  /** Path of the mount's root inside its filesystem; on btrfs from the top-level subvolume. */
  readonly root: string;
  readonly path: string;
  readonly options: string;
  readonly type: string;
  readonly source: string;
  readonly superOptions: string;
}

/** Format: proc_pid_mountinfo(5). Spaces and the like are octal escapes. */
export function parseMountinfo(text: string): readonly MountPoint[] {
  const mounts: MountPoint[] = [];
  for (const line of text.split('\n')) {
    const [head = '', tail = ''] = line.split(' - ');
    const fields = head.split(' ');
    const rest = tail.split(' ');
    if (fields.length < 6 || rest.length < 3) continue;
    mounts.push({
      device: fields[2] ?? '',
      root: unescapeOctal(fields[3] ?? ''),
      path: unescapeOctal(fields[4] ?? ''),
      options: fields[5] ?? '',
      type: rest[0] ?? '',
      source: unescapeOctal(rest[1] ?? ''),
      superOptions: rest[2] ?? '',
    });
  }
  return mounts;
}

function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

export function isAtOrBelow(path: string, ancestor: string): boolean {
  return ancestor === '/' || path === ancestor || path.startsWith(`${ancestor}/`);
}

/** The mount that `path` (absolute, without symlinks) is on. */
export function mountOf(mounts: readonly MountPoint[], path: string): MountPoint | null {
  let best: MountPoint | null = null;
  // The last of equal length wins: it was mounted over the others.
  for (const mount of mounts) {
    if (!isAtOrBelow(path, mount.path)) continue;
    if (best === null || mount.path.length >= best.path.length) best = mount;
  }
  return best;
}

/**
 * The path of a mount that would be affected if the tree at `path` were exchanged: one below it, one
 * at it, or one anywhere that shows the tree or a part of it. null: none.
 * @param own the table of this process, in which `path` is meant
 * @param seen the table to search; of this or of another namespace
 */
export function mountsInside(question: {
  readonly own: readonly MountPoint[];
  readonly seen: readonly MountPoint[];
  readonly path: string;
}): string | null {
  const { own, seen, path } = question;
  const holding = mountOf(own, path);
  if (holding === null) return null;
  const relative = path.slice(holding.path === '/' ? 0 : holding.path.length);
  const inFilesystem = `${holding.root === '/' ? '' : holding.root}${relative}` || '/';
  for (const mount of seen) {
    const showsTree = mount.device === holding.device && isAtOrBelow(mount.root, inFilesystem);
    // The pool's own root mount shows everything from above, and is not in the way.
    if (showsTree && inFilesystem !== '/') return mount.path;
  }
  for (const mount of own) if (isAtOrBelow(mount.path, path)) return mount.path;
  return null;
}
