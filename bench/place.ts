/**
 * Where a benchmark runs: a temporary folder with a GHOSTSNAP_HOME of its own, and as root a btrfs
 * image made and mounted with the options of a pool. Everything is taken down afterwards.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../src/index.ts';
import { type LoopImage, makeLoopImage } from '../test/platform/loop-image.ts';

export interface Place extends AsyncDisposable {
  /** On the machine's own filesystem. */
  readonly plain: string;
  /** The root of a btrfs image. Throws where the place has none. */
  readonly btrfs: string;
  readonly environment: Environment;
  makeDirectory(parent: string, name: string): string;
}

export interface PlaceOptions {
  /** 0: no image. */
  readonly btrfsMiB: number;
}

export async function makePlace(options: PlaceOptions): Promise<Place> {
  const plain = mkdtempSync(join(tmpdir(), 'ghostsnap-bench-'));
  chmodSync(plain, 0o755);
  let image: LoopImage | null = null;
  if (options.btrfsMiB > 0) {
    image = await makeLoopImage({
      fs: 'btrfs',
      sizeMiB: options.btrfsMiB,
      mountOptions: 'noatime,user_subvol_rm_allowed,discard=async',
    });
  }
  const home = join(plain, 'home');
  mkdirSync(home);
  return {
    plain,
    get btrfs(): string {
      if (image === null) throw new Error('This place has no btrfs image.');
      return image.mountPath;
    },
    environment: {
      env: { ...process.env, GHOSTSNAP_HOME: home },
      cwd: plain,
      homeDir: plain,
      uid: process.getuid?.() ?? 0,
    },
    makeDirectory(parent, name) {
      const path = join(parent, name);
      mkdirSync(path, { recursive: true });
      return path;
    },
    async [Symbol.asyncDispose]() {
      await image?.dispose();
      rmSync(plain, { recursive: true, force: true });
    },
  };
}
