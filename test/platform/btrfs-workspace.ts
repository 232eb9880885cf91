/**
 * A workspace on a btrfs image, with the backend under test and what tests need around it.
 *
 * `home/ws` is the workspace, `pool` the pool, `orig` a plain copy made before init that an independent
 * tool compares with. Everything belongs to `uid`, so that the same tests run as root and as a plain
 * user (in a process that dropped to it).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkspaceRef } from '../../src/backend/backend.ts';
import { type BtrfsBackend, createBtrfsBackend } from '../../src/backend/btrfs/btrfs-backend.ts';
import {
  nextUlid,
  type SnapshotId,
  snapshotId,
  type Ulid,
  workspaceId,
} from '../../src/core/ids.ts';

export const PLAIN_UID = 65534;

let lastUlid: Ulid | '' = '';

function newUlid(): Ulid {
  lastUlid = nextUlid(lastUlid, Date.now(), randomBytes(10));
  return lastUlid;
}

export function newSnapshotId(): SnapshotId {
  return snapshotId(newUlid());
}

export interface BtrfsStage extends AsyncDisposable {
  readonly ref: WorkspaceRef;
  readonly backend: BtrfsBackend;
  /** A plain copy of what the workspace held before init. */
  readonly original: string;
  /** The folder around workspace and pool, on the image. */
  readonly base: string;
  /** The workspace's own directory in the pool. */
  readonly ghosts: string;
}

export interface StageOptions {
  /** An existing directory on btrfs. */
  readonly on: string;
  /** Fills the directory before init. */
  readonly fill?: (path: string) => void;
  /** Who owns everything; default root. */
  readonly uid?: number;
  /** 'subvolume': the workspace is one before init. 'elsewhere': on another filesystem. */
  readonly workspaceAt?: string;
}

/** Directories only: init is what tests call. */
export function makeStage(options: StageOptions): BtrfsStage {
  const base = mkdtempSync(join(options.on, 'stage-'));
  const path = join(options.workspaceAt ?? join(base, 'home'), 'ws');
  const poolRoot = join(base, 'pool');
  const original = join(base, 'orig');
  mkdirSync(path, { recursive: true });
  mkdirSync(poolRoot);
  options.fill?.(path);
  if (options.uid !== undefined) {
    execFileSync('chown', ['-R', '-h', `${options.uid}:${options.uid}`, base, path]);
    chownSync(join(path, '..'), options.uid, options.uid);
  }
  execFileSync('cp', ['-a', path, original]);
  const ref = { id: workspaceId(newUlid()), path, poolRoot };
  const backend = createBtrfsBackend();
  return {
    ref,
    backend,
    original,
    base,
    ghosts: join(poolRoot, '.ghostsnap', ref.id),
    async [Symbol.asyncDispose]() {
      await backend[Symbol.asyncDispose]();
      removeStage(base);
    },
  };
}

/** Subvolumes first: rm cannot remove read-only ones. */
function removeStage(base: string): void {
  const listed = spawnSync('btrfs', ['subvolume', 'list', '-o', base], { encoding: 'utf8' });
  for (const line of listed.stdout.split('\n').reverse()) {
    const inside = / path (.*)$/.exec(line)?.[1];
    const at = inside?.indexOf(base.slice(base.lastIndexOf('/') + 1)) ?? -1;
    if (inside === undefined || at < 0) continue;
    const path = join(base, '..', inside.slice(at));
    spawnSync('btrfs', ['subvolume', 'delete', path]);
  }
  rmSync(base, { recursive: true, force: true });
}

/** One of everything that a plain user may make. */
export function fillRichly(path: string): void {
  const script = `
    mkdir -p src/deep empty 'odd
name' -- -rf
    for i in $(seq 60); do printf 'content %s' $i > src/f$i; done
    head -c 300000 /dev/urandom > big
    truncate -s 10M sparse; printf tail >> sparse
    printf x > "$(printf 'not\\377utf8')"
    ln src/f1 linked; ln src/f2 src/deep/linked-too; ln -s ../nowhere dangling
    mkfifo pipe; chmod 0600 src/f3; chmod 4755 src/f4; chmod 1777 empty
    setfattr -n user.colour -v green src/f5; setfacl -m u:12345:r src/f6
    touch -d '1969-12-31T23:59:58.123456789Z' src/f7
    touch -h -d '2001-02-03T04:05:06.789Z' dangling
    touch -d '2010-01-01T00:00:00.5Z' src/deep src .
  `;
  execFileSync('bash', ['-euc', script], { cwd: path });
}
