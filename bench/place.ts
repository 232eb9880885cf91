/**
 * Where a benchmark runs: a temporary folder with a GHOSTSNAP_HOME of its own, and as root a pool image
 * as `ghostsnap pool create` makes it. Everything is taken down afterwards.
 *
 * The folder is the system's temporary one; TMPDIR moves it, and with it the image, to another disk.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool, destroyPool, type Environment } from '../src/index.ts';

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

const POOL = 'bench';

export async function makePlace(options: PlaceOptions): Promise<Place> {
  const plain = mkdtempSync(join(tmpdir(), 'ghostsnap-bench-'));
  chmodSync(plain, 0o755);
  const home = join(plain, 'home');
  mkdirSync(home);
  const environment: Environment = {
    env: { ...process.env, GHOSTSNAP_HOME: home },
    cwd: plain,
    homeDir: plain,
    uid: process.getuid?.() ?? 0,
  };
  const root = options.btrfsMiB > 0 ? await makePool(environment, options, plain) : null;
  return {
    plain,
    get btrfs(): string {
      if (root === null) throw new Error('This place has no btrfs image.');
      return root;
    },
    environment,
    makeDirectory(parent, name) {
      const path = join(parent, name);
      mkdirSync(path, { recursive: true });
      return path;
    },
    async [Symbol.asyncDispose]() {
      // Its workspaces live in it and end with it, so nothing has to be brought back first.
      rmSync(join(home, 'workspaces'), { recursive: true, force: true });
      if (root !== null) await takeDown(environment, root, plain);
      rmSync(plain, { recursive: true, force: true });
    },
  };
}

async function makePool(
  environment: Environment,
  { btrfsMiB }: PlaceOptions,
  plain: string,
): Promise<string> {
  const directory = join(plain, 'pool');
  mkdirSync(directory);
  const sizeBytes = btrfsMiB * 2 ** 20;
  const { root } = await createPool({ name: POOL, environment, directory, sizeBytes });
  return root;
}

async function takeDown(environment: Environment, root: string, plain: string): Promise<void> {
  try {
    await destroyPool({ name: POOL, environment, force: 'yes' });
  } catch (error) {
    // Retention in a process of its own may still be at work in it, on trees that are going away.
    console.error(`detaching ${root}: ${error}`);
    execFileSync('umount', ['-l', root]);
    // One that is in use is detached by the kernel when whoever holds it lets go.
    for (const device of loopDevicesOf(plain)) execFileSync('losetup', ['--detach', device]);
  }
}

function loopDevicesOf(directory: string): string[] {
  const args = ['--list', '--noheadings', '--raw', '--output', 'NAME,BACK-FILE'];
  const lines = execFileSync('losetup', args, { encoding: 'utf8' }).split('\n');
  return lines
    .map((line) => line.split(' '))
    .filter(([, file = '']) => file.startsWith(`${directory}/`))
    .map(([device = '']) => device);
}
