/**
 * Directories that nobody wants snapshotted and rolled back by mistake.
 *
 * `/`, the home directory and what holds it, system directories, an agent's own state. `--force`
 * overrides these. It never overrides ghostsnap's own directory, inside the workspace or around it: a
 * rollback would turn back the catalog under the engine that carries it out.
 */
import fs from 'node:fs';
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';

export interface WorkspacePathCheck {
  /** Absolute real path. */
  readonly path: string;
  /** '' when nobody knows it. */
  readonly homeDir: string;
  /** ghostsnap's own data directory; need not exist. */
  readonly ghostsnapHome: string;
  readonly force: 'yes' | 'no';
}

/** With all that is below them, but for places where people keep sources and drives. */
const SYSTEM_TREES = [
  ...['/usr', '/etc', '/boot', '/proc', '/sys', '/dev', '/run', '/nix', '/snap', '/lost+found'],
  ...['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'],
];
const NOT_SYSTEM = ['/usr/src', '/usr/local/src', '/run/media'];

/** Themselves, not what is below them: projects live in /srv/app and /var/www. */
const SYSTEM_TOPS = [
  ...['/', '/var', '/opt', '/srv', '/home', '/root', '/tmp', '/mnt', '/media'],
  ...['/var/lib', '/var/log', '/var/cache', '/var/spool', '/var/tmp', '/var/home'],
  ...NOT_SYSTEM,
];

/** Directories of home directories: what is directly in them belongs to somebody. */
const HOME_PARENTS = ['/home', '/var/home', '/Users'];

/** Below the home directory. A rollback would take the running agent's own memory back. */
const AGENT_STATE = [
  ...['.claude', '.codex', '.gemini', '.cursor', '.copilot', '.aider', '.continue', '.qwen'],
  ...['.config/opencode', '.local/share/opencode', '.local/state/opencode'],
  ...['.config/goose', '.local/share/goose', '.config/amp', '.local/share/amp', '.kiro'],
];

/**
 * @throws GhostsnapError DANGEROUS_WORKSPACE, `data.reason` saying why; POOL_INSIDE_WORKSPACE, whatever
 *   `force` says
 */
export function checkWorkspacePath(check: WorkspacePathCheck): void {
  const home = check.homeDir === '' ? null : realPath(check.homeDir);
  const reason = check.force === 'yes' ? null : dangerOf(check.path, home);
  if (reason !== null) {
    throw new GhostsnapError('DANGEROUS_WORKSPACE', `${check.path} is ${reason}.`, {
      hint: 'Choose the directory of one project, or pass --force if this is really meant.',
      data: { path: check.path, reason },
    });
  }
  const own = realPath(check.ghostsnapHome);
  if (!holds(own, check.path) && !holds(check.path, own)) return;
  const how = holds(own, check.path) ? 'is part of' : 'holds';
  throw new GhostsnapError(
    'POOL_INSIDE_WORKSPACE',
    `The workspace ${check.path} ${how} ghostsnap's own directory ${own}`,
    {
      hint: 'Choose the directory of one project, or set GHOSTSNAP_HOME to a directory outside.',
      data: { path: check.path, ghostsnapHome: own },
    },
  );
}

function dangerOf(at: string, homeDir: string | null): string | null {
  if (at === homeDir) return 'your home directory';
  if (SYSTEM_TOPS.includes(at)) return 'a system directory';
  if (homeDir !== null && holds(at, homeDir)) return 'a directory that holds your home directory';
  if (HOME_PARENTS.includes(path.dirname(at))) return "somebody's home directory";
  const isExempt = NOT_SYSTEM.some((tree) => holds(tree, at));
  if (!isExempt && SYSTEM_TREES.some((tree) => holds(tree, at))) return 'a system directory';
  return homeDir === null ? null : agentStateAt(at, homeDir);
}

function agentStateAt(at: string, homeDir: string): string | null {
  for (const name of AGENT_STATE) {
    const state = path.join(homeDir, name);
    if (holds(state, at)) return `in the state directory ~/${name} of an agent`;
    if (holds(at, state)) return `a directory that holds the state ~/${name} of an agent`;
  }
  return null;
}

/** True when `inner` is `outer` or lies below it. */
function holds(outer: string, inner: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? '/' : `${outer}/`);
}

/** Symlinks resolved as far as the path exists: /home is a symlink on some systems. */
function realPath(asked: string): string {
  try {
    return fs.realpathSync(asked);
  } catch {
    // Not made yet: what it will be below is resolved.
    const parent = path.dirname(asked);
    return parent === asked ? asked : path.join(realPath(parent), path.basename(asked));
  }
}
