/**
 * Where one workspace of a prover stands: a folder of its own on the bed, in it the directory that becomes a
 * workspace and the home of ghostsnap with a configuration.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../../src/index.ts';

export interface WorkspacePlace {
  /** Around workspace, home and scratch places. */
  readonly folder: string;
  /** An empty directory. */
  readonly path: string;
  readonly environment: Environment;
}

/** @param prefix what the folder is called, up to a random end */
export function makeWorkspacePlace(base: string, prefix: string, config: unknown): WorkspacePlace {
  const folder = mkdtempSync(join(base, prefix));
  const path = join(folder, 'work');
  const home = join(folder, 'home');
  mkdirSync(path, { mode: 0o755 });
  mkdirSync(home);
  writeFileSync(join(home, 'config.json'), JSON.stringify(config));
  return { folder, path, environment: environmentAt(folder, home) };
}

/** As of a person whose home directory is the folder. */
export function environmentAt(folder: string, home: string): Environment {
  return {
    env: { GHOSTSNAP_HOME: home, PATH: process.env.PATH },
    cwd: folder,
    homeDir: folder,
    uid: process.getuid?.() ?? 0,
  };
}
