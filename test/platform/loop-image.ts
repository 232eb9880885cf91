/**
 * A real filesystem on an image of its own, for one test or one suite.
 *
 * The image and its mount point live in a fresh temporary folder; disposing of it unmounts everything
 * below the mount point, deepest first, and removes the folder. The loop device is attached with
 * autoclear, so it goes away with the last unmount even when the test process was killed before.
 * Needs root.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IMAGE_FORMAT } from '../../src/pool/image-pool.ts';

export interface LoopImageOptions {
  readonly fs: 'btrfs' | 'xfs' | 'ext4';
  /** btrfs needs 109 at least, XFS 300. */
  readonly sizeMiB: number;
  /** As for mount(8) `-o`. */
  readonly mountOptions?: string;
  /** Replaces the defaults (btrfs: the pool's own options). */
  readonly mkfsArguments?: readonly string[];
  /** Where the temporary folder is made; default the system's. */
  readonly under?: string;
}

export interface LoopImage extends AsyncDisposable {
  /** The filesystem's root directory. Everybody may enter, root owns it. */
  readonly mountPath: string;
  readonly imagePath: string;
  /** The temporary folder around both; removed with the image. */
  readonly directory: string;
  dispose(): Promise<void>;
}

const MKFS: Readonly<Record<LoopImageOptions['fs'], readonly string[]>> = {
  btrfs: ['mkfs.btrfs', '-q', ...IMAGE_FORMAT],
  xfs: ['mkfs.xfs', '-q'],
  ext4: ['mkfs.ext4', '-q', '-F'],
};

export async function makeLoopImage(options: LoopImageOptions): Promise<LoopImage> {
  const directory = mkdtempSync(join(options.under ?? tmpdir(), 'ghostsnap-image-'));
  const imagePath = join(directory, 'image');
  const mountPath = join(directory, 'mnt');
  const dispose = async (): Promise<void> => takeDown(directory, mountPath);
  try {
    chmodSync(directory, 0o755);
    mkdirSync(mountPath);
    writeFileSync(imagePath, '');
    truncateSync(imagePath, options.sizeMiB * 2 ** 20);
    const [tool = '', ...defaults] = MKFS[options.fs];
    run(tool, [...(options.mkfsArguments ?? defaults), imagePath]);
    const extra = options.mountOptions === undefined ? '' : `,${options.mountOptions}`;
    run('mount', ['-t', options.fs, '-o', `loop${extra}`, imagePath, mountPath]);
    chmodSync(mountPath, 0o755);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { mountPath, imagePath, directory, dispose, [Symbol.asyncDispose]: dispose };
}

function takeDown(directory: string, mountPath: string): void {
  for (const mount of mountsWithin(mountPath)) {
    // A process that a failed test left behind may still stand inside: detach lazily then.
    try {
      run('umount', [mount]);
    } catch {
      run('umount', ['-l', mount]);
    }
  }
  rmSync(directory, { recursive: true, force: true });
}

/** Mount points at or below `path`, the last mounted first. */
export function mountsWithin(path: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((field) => field.replace(/\\(\d{3})/g, (_, o) => String.fromCharCode(parseInt(o, 8))))
    .filter((mount) => mount === path || mount.startsWith(`${path}/`))
    .reverse();
}

function run(tool: string, commandArguments: readonly string[]): void {
  execFileSync(tool, commandArguments, { stdio: ['ignore', 'pipe', 'pipe'] });
}
