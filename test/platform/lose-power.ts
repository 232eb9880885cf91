/**
 * Taking the power away from a filesystem on an image, and giving it back.
 *
 * It is shut down without flushing its log (FS_IOC_SHUTDOWN), so that everything which was not synced is lost,
 * then mounted again.
 */
import { execFileSync } from 'node:child_process';
import type { LoopImage } from './loop-image.ts';

/** `_IOR('X', 125, u32)` with 2: no flush of the log. Loop devices on it see EIO from then on. */
const SHUT_DOWN = `
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(fd, 0x8004587D, struct.pack('I', 2))
`;

export interface Inside {
  /** Lets go of the filesystem: unmounts what lies on it. */
  readonly down: () => void;
  readonly up: () => void;
}

/** @param host an ext4; `inside` lets go of it and comes back with it */
export function losePower(host: LoopImage, inside: Inside): void {
  run('python3', ['-c', SHUT_DOWN, host.mountPath]);
  inside.down();
  run('umount', [host.mountPath]);
  run('mount', ['-t', 'ext4', '-o', 'loop', host.imagePath, host.mountPath]);
  inside.up();
}

function run(tool: string, commandArguments: readonly string[]): void {
  execFileSync(tool, commandArguments, { stdio: ['ignore', 'ignore', 'pipe'] });
}
