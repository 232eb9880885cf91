/**
 * A small project that is a workspace, with a home of its own, driven through the real program.
 *
 * 'store' lives in the system's temporary directory, 'btrfs' on an image of its own (root).
 */
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { makeLoopImage } from '../platform/loop-image.ts';
import { type CliOptions, type CliResult, runCli } from './run-cli.ts';

export interface CliWorkspace extends AsyncDisposable {
  readonly base: string;
  readonly path: string;
  /** Runs in the workspace's directory. */
  cli(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  /** The same, and it must succeed; gives standard output. */
  ok(args: readonly string[], options?: CliOptions): Promise<string>;
  /** The same with --json, parsed. */
  json<T = Record<string, unknown>>(args: readonly string[]): Promise<T>;
}

/** Latin-1 for a name that is not UTF-8: `caf` and a byte 0xe9. */
export const ODD_NAME = Buffer.from([0x63, 0x61, 0x66, 0xe9]);

export async function makeCliWorkspace(backend: 'btrfs' | 'store'): Promise<CliWorkspace> {
  const image = backend === 'btrfs' ? await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 }) : null;
  const base = image?.mountPath ?? mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-cli-'));
  const path = join(base, 'project');
  const env = {
    GHOSTSNAP_HOME: join(base, 'home'),
    GHOSTSNAP_TOOL: undefined,
    GHOSTSNAP_SESSION: undefined,
    GHOSTSNAP_CALL: undefined,
  };
  const cli = (args: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
    runCli(args, { cwd: path, ...options, env: { ...env, ...options.env } });
  const ok = async (args: readonly string[], options: CliOptions = {}): Promise<string> => {
    const { status, stdout, stderr } = await cli(args, options);
    expect(status, `ghostsnap ${args.join(' ')}: ${stderr}`).toBe(0);
    return stdout;
  };
  const dispose = async (): Promise<void> => {
    if (image === null) rmSync(base, { recursive: true, force: true });
    else await image.dispose();
  };
  try {
    fillProject(path);
    return {
      ...{ base, path, cli, ok },
      json: async <T>(args: readonly string[]) => JSON.parse(await ok([...args, '--json'])) as T,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function fillProject(path: string): void {
  mkdirSync(join(path, 'src', 'deep'), { recursive: true });
  mkdirSync(join(path, 'empty'));
  writeFileSync(join(path, 'src', 'main.ts'), 'one\ntwo\nthree\n');
  writeFileSync(join(path, 'src', 'deep', 'a.ts'), 'deep\n');
  writeFileSync(join(path, '.env'), 'SECRET=1\n', { mode: 0o600 });
  writeFileSync(join(path, 'logo.bin'), Buffer.from([1, 0, 2]));
  writeFileSync(Buffer.concat([Buffer.from(`${path}/`), ODD_NAME]), 'odd\n');
  linkSync(join(path, '.env'), join(path, 'env-link'));
  symlinkSync('src/main.ts', join(path, 'link'));
  chmodSync(join(path, 'src'), 0o750);
}
