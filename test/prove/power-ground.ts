/**
 * Where power losses are tried: the filesystem on the recorded disk, and how a workspace lies on it.
 *
 * Everything that ghostsnap keeps (workspace, snapshots, catalog, registry, a pool image) is on the one
 * disk, so that the order of its writes is seen whole. A ground can be let go and entered again, on the
 * recorded disk and on what a power loss left of it, always at the same path.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../../src/daemon/home.ts';
import { createPool, mountPool } from '../../src/daemon/pools.ts';
import { IMAGE_FORMAT, unmountImagePool } from '../../src/pool/image-pool.ts';
import { mountsWithin } from '../platform/loop-image.ts';

export interface PowerGround {
  readonly name: string;
  readonly filesystem: 'btrfs' | 'xfs' | 'ext4';
  /** 'image': the workspace moves into a btrfs image on the disk. */
  readonly backend: 'btrfs' | 'store' | 'image';
  readonly sizeMiB: number;
}

export const POWER_GROUNDS: readonly PowerGround[] = [
  { name: 'store-ext4', filesystem: 'ext4', backend: 'store', sizeMiB: 200 },
  { name: 'btrfs', filesystem: 'btrfs', backend: 'btrfs', sizeMiB: 200 },
  { name: 'image-ext4', filesystem: 'ext4', backend: 'image', sizeMiB: 400 },
  { name: 'store-xfs', filesystem: 'xfs', backend: 'store', sizeMiB: 320 },
  { name: 'image-xfs', filesystem: 'xfs', backend: 'image', sizeMiB: 400 },
];

export const POOL = 'recorded';
const POOL_BYTES = 200 * 2 ** 20;

const MKFS: Readonly<Record<PowerGround['filesystem'], readonly string[]>> = {
  btrfs: ['mkfs.btrfs', '-q', ...IMAGE_FORMAT],
  xfs: ['mkfs.xfs', '-q'],
  // Its default for a disk this small is blocks of 1 KiB, and then a 4 KiB block of a pool image lies on two
  // of the disk's, which may be torn.
  ext4: ['mkfs.ext4', '-q', '-F', '-b', '4096'],
};

export class PowerPlace {
  readonly ground: PowerGround;
  readonly mountPath: string;
  readonly workspacePath: string;
  readonly environment: Environment;
  readonly #poolDirectory: string;

  constructor(ground: PowerGround, mountPath: string) {
    this.ground = ground;
    this.mountPath = mountPath;
    this.workspacePath = join(mountPath, 'home', 'work');
    this.#poolDirectory = join(mountPath, 'pool');
    const GHOSTSNAP_HOME = join(mountPath, 'ghostsnap');
    const env = { GHOSTSNAP_HOME, PATH: process.env.PATH, HOME: join(mountPath, 'home') };
    this.environment = { env, cwd: '/', homeDir: join(mountPath, 'home'), uid: 0 };
  }

  /** A new filesystem, mounted, with an empty directory to be the workspace. */
  async make(device: string): Promise<void> {
    const [tool = '', ...options] = MKFS[this.ground.filesystem];
    run(tool, [...options, device]);
    this.#mount(device);
    mkdirSync(this.workspacePath, { recursive: true });
    mkdirSync(join(this.mountPath, 'ghostsnap'));
    if (this.ground.backend !== 'image') return;
    const { environment } = this;
    const directory = this.#poolDirectory;
    await createPool({ name: POOL, environment, directory, sizeBytes: POOL_BYTES });
  }

  /** After a power loss, or a leave. */
  async enter(device: string): Promise<void> {
    this.#mount(device);
    if (!existsSync(join(this.#poolDirectory, 'pool.btrfs'))) return;
    try {
      await mountPool({ name: POOL, environment: this.environment });
    } catch (error) {
      await this.leave();
      throw error;
    }
  }

  /** Nothing on it may be open. */
  async leave(): Promise<void> {
    const imagePath = join(this.#poolDirectory, 'pool.btrfs');
    const mountPath = join(this.#poolDirectory, 'mount');
    // A workspace that moved into the pool is shown at its path by a bind mount.
    for (const mount of mountsWithin(this.mountPath)) {
      if (mount !== this.mountPath && mount !== mountPath) run('umount', [mount]);
    }
    if (existsSync(imagePath)) await unmountImagePool({ imagePath, mountPath });
    run('umount', [this.mountPath]);
    // The kernel remembers a btrfs that was here, and would refuse an older state of the same.
    run('btrfs', ['device', 'scan', '--forget']);
  }

  #mount(device: string): void {
    mkdirSync(this.mountPath, { recursive: true });
    run('mount', ['-t', this.ground.filesystem, '-o', 'noatime', device, this.mountPath]);
  }
}

/** A loop device on an image, for as long as `work` takes. */
export async function withLoopDevice<T>(
  image: string,
  work: (device: string) => Promise<T>,
): Promise<T> {
  const device = run('losetup', ['--find', '--show', image]).trim();
  try {
    return await work(device);
  } finally {
    run('losetup', ['-d', device]);
  }
}

function run(tool: string, commandArguments: readonly string[]): string {
  return execFileSync(tool, commandArguments, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
