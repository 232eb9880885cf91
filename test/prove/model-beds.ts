/**
 * Where model episodes are run: every backend on the filesystems people have, as root and as a plain user.
 *
 * The filesystems are images in memory where the machine has room there, so that a million operations
 * cost no disk. Needs root; a plain user's beds are entered by a process that has given it up.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeLoopImage } from '../platform/loop-image.ts';
import type { Bed } from './model-episode.ts';

export const PLAIN_UID = 65_534;

interface Ground {
  /** Without the user: `store-xfs`. */
  readonly name: string;
  readonly backend: Bed['backend'];
  readonly filesystem: 'btrfs' | 'xfs' | 'ext4' | 'tmpfs';
}

const GROUNDS: readonly Ground[] = [
  { name: 'btrfs', backend: 'btrfs', filesystem: 'btrfs' },
  { name: 'store-ext4', backend: 'store', filesystem: 'ext4' },
  { name: 'store-tmpfs', backend: 'store', filesystem: 'tmpfs' },
  { name: 'store-xfs', backend: 'store', filesystem: 'xfs' },
  { name: 'store-btrfs', backend: 'store', filesystem: 'btrfs' },
];

export interface UserBed extends Bed {
  /** undefined: root. */
  readonly uid: number | undefined;
}

export interface Beds extends AsyncDisposable {
  readonly all: readonly UserBed[];
}

export async function makeBeds(): Promise<Beds> {
  const takeDowns: (() => Promise<void>)[] = [];
  const all: UserBed[] = [];
  const dispose = async (): Promise<void> => {
    for (const takeDown of takeDowns.reverse()) await takeDown();
  };
  try {
    for (const ground of GROUNDS) {
      const { mountPath, takeDown } = await makeGround(ground.filesystem);
      takeDowns.push(takeDown);
      for (const uid of [undefined, PLAIN_UID]) {
        const base = join(mountPath, uid === undefined ? 'root' : 'user');
        mkdirSync(base, { mode: 0o755 });
        if (uid !== undefined) chownSync(base, uid, uid);
        const name = uid === undefined ? ground.name : `${ground.name}-user`;
        all.push({ name, backend: ground.backend, base, uid });
      }
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return { all, [Symbol.asyncDispose]: dispose };
}

interface Mounted {
  readonly mountPath: string;
  readonly takeDown: () => Promise<void>;
}

const IMAGE_MIB = 768;

/** A btrfs that somebody has already: with the feature no-holes, which a pool's image does without. */
const MKFS_OWN_FEATURES = ['-q', '-n', '4096', '-m', 'single', '-O', 'no-holes'];

async function makeGround(filesystem: Ground['filesystem']): Promise<Mounted> {
  if (filesystem === 'tmpfs') return makeTmpfs();
  const memory = makeTmpfs();
  try {
    const image = await makeLoopImage({
      fs: filesystem,
      sizeMiB: IMAGE_MIB,
      under: memory.mountPath,
      ...(filesystem === 'btrfs' ? { mkfsArguments: MKFS_OWN_FEATURES } : {}),
      // As a plain user finds it mostly: without user_subvol_rm_allowed.
      mountOptions: 'noatime',
    });
    const takeDown = async (): Promise<void> => {
      await image.dispose();
      await memory.takeDown();
    };
    return { mountPath: image.mountPath, takeDown };
  } catch (error) {
    await memory.takeDown();
    throw error;
  }
}

/** Not in /dev/shm: ghostsnap takes nothing below /dev for a workspace. */
function makeTmpfs(): Mounted {
  const mountPath = mkdtempSync(join(tmpdir(), 'ghostsnap-tmpfs-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'ghostsnap', mountPath]);
  chmodSync(mountPath, 0o755);
  return {
    mountPath,
    async takeDown() {
      execFileSync('umount', [mountPath]);
      rmdirSync(mountPath);
    },
  };
}
