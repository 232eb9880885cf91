/**
 * The independent witness: compares directory trees without any of the product's code.
 *
 * `digestTree` runs tree-digest.py, `rsyncDifferences` asks rsync. Both read contents, modes, owners,
 * times in nanoseconds, hard links, symlinks, xattrs and ACLs. Neither ever writes. This file must
 * import nothing from src/, or a mistake there could hide itself.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const SCRIPT = join(import.meta.dirname, 'tree-digest.py');
/** Bytes of a listing: about 200 an entry, so room for five million entries. */
const OUTPUT_BYTES_MAX = 1 << 30;
const DIFFERENCES_SHOWN_MAX = 20;

export interface DigestOptions {
  /** Leave out mtimes altogether, or only the root's. */
  readonly mtimes?: 'all' | 'none' | 'not-root';
  /** Leave out uid and gid (a plain user cannot give them back). */
  readonly owners?: 'compare' | 'ignore';
  readonly xattrs?: 'compare' | 'ignore';
  readonly links?: 'compare' | 'ignore';
  /** Sockets cannot be brought back. Default 'ignore'. */
  readonly sockets?: 'compare' | 'ignore';
  /** Data ranges of sparse files; only comparable within one filesystem. Default 'ignore'. */
  readonly holes?: 'compare' | 'ignore';
  /** Stop at nested subvolumes ('btrfs') besides other filesystems. */
  readonly boundaries?: 'mounts' | 'btrfs';
  /** Leave boundaries out of the listing; a snapshot shows an empty directory or nothing there. */
  readonly boundaryEntries?: 'list' | 'skip';
  /** Paths relative to the root that are left out, with all below them. */
  readonly skip?: readonly string[];
}

export interface TreeDigest {
  /** One line an entry, in byte order of paths below each directory. */
  readonly lines: readonly string[];
  readonly sha256: string;
}

/** Lists the tree at `root`. Throws when anything in it can't be read. */
export function digestTree(root: string, options: DigestOptions = {}): TreeDigest {
  const text = execFileSync(pythonPath(), [SCRIPT, ...flagsOf(options), root], {
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines = text.split('\n').filter((line) => line !== '');
  return { lines, sha256: createHash('sha256').update(text).digest('hex') };
}

/** Lines that only one side has, `-` for `before`, `+` for `after`; empty when the trees are equal. */
export function diffDigests(before: TreeDigest, after: TreeDigest): string[] {
  if (before.sha256 === after.sha256) return [];
  const left = new Set(before.lines);
  const right = new Set(after.lines);
  return [
    ...before.lines.filter((line) => !right.has(line)).map((line) => `- ${line}`),
    ...after.lines.filter((line) => !left.has(line)).map((line) => `+ ${line}`),
  ];
}

/** Throws with the first differing entries unless both directories hold the same tree. */
export function assertSameTree(a: string, b: string, options: DigestOptions = {}): void {
  assertSameDigest(digestTree(a, options), digestTree(b, options), `${a} and ${b}`);
}

/** As `assertSameTree`, against a listing taken earlier. */
export function assertSameDigest(before: TreeDigest, after: TreeDigest, subject: string): void {
  const differences = diffDigests(before, after);
  if (differences.length === 0) return;
  const shown = differences.slice(0, DIFFERENCES_SHOWN_MAX).join('\n');
  throw new Error(
    `The trees differ (${subject}): ${differences.length} lines, the first ones\n${shown}`,
  );
}

/**
 * What rsync would change to make `to` equal `from`: one itemized line a path, empty when equal.
 * `--modify-window=-1` makes rsync compare nanoseconds, which it does not do by itself.
 */
export function rsyncDifferences(
  from: string,
  to: string,
  extra: readonly string[] = [],
): string[] {
  const flags = ['-naicHAXX', '--delete', '--numeric-ids', '--modify-window=-1', ...extra];
  const text = execFileSync('rsync', [...flags, `${from}/`, `${to}/`], {
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return text.split('\n').filter((line) => line !== '');
}

/** Throws unless rsync sees no difference. */
export function assertRsyncSame(from: string, to: string, extra: readonly string[] = []): void {
  const differences = rsyncDifferences(from, to, extra);
  if (differences.length === 0) return;
  const shown = differences.slice(0, DIFFERENCES_SHOWN_MAX).join('\n');
  throw new Error(`rsync sees ${differences.length} differences (${from}, ${to}):\n${shown}`);
}

function flagsOf(options: DigestOptions): string[] {
  const flags: string[] = [];
  if (options.mtimes === 'none') flags.push('--no-mtime');
  if (options.mtimes === 'not-root') flags.push('--no-root-mtime');
  if (options.owners === 'ignore') flags.push('--no-owner');
  if (options.xattrs === 'ignore') flags.push('--no-xattrs');
  if (options.links === 'ignore') flags.push('--no-links');
  if (options.sockets !== 'compare') flags.push('--no-sockets');
  if (options.holes === 'compare') flags.push('--holes');
  if (options.boundaries === 'btrfs') flags.push('--btrfs');
  if (options.boundaryEntries === 'skip') flags.push('--skip-boundaries');
  for (const path of options.skip ?? []) flags.push(`--skip=${path}`);
  return flags;
}

/** The system's Python first: one in root's home cannot be started by the plain user of the tests. */
export function pythonPath(): string {
  return existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
}
