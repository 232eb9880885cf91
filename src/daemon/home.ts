/**
 * Where ghostsnap keeps its own files: the XDG directories, or `GHOSTSNAP_HOME` for all of them.
 *
 * A pure function of an environment that is handed in: nothing but the composition root reads the
 * process's own. Nothing is created here.
 */
import path from 'node:path';

/** What a process knows about where it runs. */
export interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly homeDir: string;
  readonly uid: number;
  readonly isTty?: boolean;
}

export interface Home {
  /** Pools and the registry of workspaces. */
  readonly data: string;
  readonly config: string;
}

/** Relative values are ignored, as the XDG base directory specification demands. */
export function resolveHome(environment: Environment): Home {
  const { env, homeDir } = environment;
  const own = absolute(env.GHOSTSNAP_HOME);
  if (own !== null) return { data: own, config: own };
  const data = absolute(env.XDG_DATA_HOME) ?? path.join(homeDir, '.local', 'share');
  const config = absolute(env.XDG_CONFIG_HOME) ?? path.join(homeDir, '.config');
  return { data: path.join(data, 'ghostsnap'), config: path.join(config, 'ghostsnap') };
}

export function poolDirectory(home: Home, pool: string): string {
  return path.join(home.data, 'pools', pool);
}

function absolute(value: string | undefined): string | null {
  return value !== undefined && path.isAbsolute(value) ? path.resolve(value) : null;
}
