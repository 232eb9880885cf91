/**
 * Where ghostsnap keeps its own files: the XDG directories, or `GHOSTSNAP_HOME` for all of them.
 *
 * A pure function of an environment that is handed in: nothing but the composition root reads the
 * process's own. Nothing is created here.
 */
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';

/** What a process knows about where it runs. */
export interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Absolute; '' when nobody knows it. */
  readonly homeDir: string;
  readonly uid: number;
  readonly isTty?: boolean;
}

export interface Home {
  /** Pools and the registry of workspaces. */
  readonly data: string;
  readonly config: string;
}

/**
 * Relative values of XDG variables are ignored, as their specification demands. Our own is refused then:
 * whoever set it would look for snapshots where they are not.
 * @throws GhostsnapError BAD_CONFIG when GHOSTSNAP_HOME is relative, or nothing says where home is
 */
export function resolveHome(environment: Environment): Home {
  const { env } = environment;
  const own = ownHome(env.GHOSTSNAP_HOME);
  if (own !== null) return { data: own, config: own };
  const data =
    absolute(env.XDG_DATA_HOME) ?? path.join(requireHomeDirectory(environment), '.local', 'share');
  const config =
    absolute(env.XDG_CONFIG_HOME) ?? path.join(requireHomeDirectory(environment), '.config');
  return { data: path.join(data, 'ghostsnap'), config: path.join(config, 'ghostsnap') };
}

/** @throws GhostsnapError BAD_CONFIG */
export function requireHomeDirectory({ homeDir, uid }: Environment): string {
  if (homeDir !== '') return homeDir;
  throw new GhostsnapError(
    'BAD_CONFIG',
    `Your home directory is not known: HOME is no absolute path, and passwd has none for user ${uid}.`,
    {
      hint: 'Set HOME, or set GHOSTSNAP_HOME to the directory that ghostsnap is to keep its files in.',
    },
  );
}

function ownHome(value: string | undefined): string | null {
  if (value === undefined || value === '') return null;
  if (path.isAbsolute(value)) return path.resolve(value);
  throw new GhostsnapError('BAD_CONFIG', `GHOSTSNAP_HOME is no absolute path: ${value}`, {
    hint: 'Set it to an absolute path: it must name the same directory wherever you stand.',
  });
}

export function poolDirectory(home: Home, pool: string): string {
  return path.join(home.data, 'pools', pool);
}

function absolute(value: string | undefined): string | null {
  return value !== undefined && path.isAbsolute(value) ? path.resolve(value) : null;
}
