/**
 * A pool on a disk that is as slow as the test wants: btrfs on a loop device on a file that is served by a
 * program which answers when it is let.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Environment, initWorkspace } from '../../src/index.ts';
import { IMAGE_FORMAT } from '../../src/pool/image-pool.ts';
import { RecordingDisk } from '../prove/recording-disk.ts';

const DISK_BYTES = 256 * 2 ** 20;

export class SlowDisk implements AsyncDisposable {
  readonly disk: RecordingDisk;
  /** Where it is mounted. */
  readonly root: string;
  /** A name that the configuration of the service needs; known once there is a template. */
  readonly pool = 'slow';
  readonly #directory: string;

  private constructor(directory: string, disk: RecordingDisk) {
    this.#directory = directory;
    this.disk = disk;
    this.root = join(directory, 'mount');
  }

  static async make(): Promise<SlowDisk> {
    const directory = mkdtempSync(join(tmpdir(), 'ghostsnap-slow-'));
    const slow = new SlowDisk(directory, await RecordingDisk.start(directory, DISK_BYTES));
    const { device } = slow.disk;
    execFileSync('mkfs.btrfs', ['-q', ...IMAGE_FORMAT, device]);
    mkdirSync(slow.root);
    execFileSync('mount', ['-o', 'noatime,user_subvol_rm_allowed', device, slow.root]);
    return slow;
  }

  /** A workspace on it that can be cloned. @returns its id and its pool's name */
  async makeTemplate(environment: Environment): Promise<{ workspace: string; pool: string }> {
    const path = join(this.root, 'template');
    mkdirSync(path);
    writeFileSync(join(path, 'content'), 'none');
    return await initWorkspace({ path, pool: join(this.root, this.pool), environment });
  }

  /** Nothing may use it any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.disk.letGo();
    execFileSync('umount', [this.root]);
    await this.disk[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true });
  }
}
