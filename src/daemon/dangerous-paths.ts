/**
 * Directories that nobody wants snapshotted and rolled back by mistake.
 *
 * `/`, the home directory and what holds it, system directories, an agent's own state and ghostsnap's.
 * `--force` overrides all but ghostsnap's own home, which can never hold its own snapshots.
 */
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';

export interface WorkspacePathCheck {
  /** Absolute real path. */
  readonly path: string;
  readonly homeDir: string;
  /** ghostsnap's own data directory. */
  readonly ghostsnapHome: string;
  readonly force: 'yes' | 'no';
}

const SYSTEM_TREES = [
  '/usr',
  '/etc',
  '/boot',
  '/proc',
  '/sys',
  '/dev',
  '/bin',
  '/sbin',
  '/lib',
  '/lib64',
];
/** Themselves, not what is below them: projects live in /srv/app and /var/www. */
const SYSTEM_TOPS = [
  '/',
  '/var',
  '/opt',
  '/srv',
  '/home',
  '/root',
  '/tmp',
  '/run',
  '/mnt',
  '/media',
];
const AGENT_STATE = [
  '.claude',
  '.codex',
  '.gemini',
  '.cursor',
  '.copilot',
  '.config/opencode',
  '.local/share/opencode',
];

/** @throws GhostsnapError DANGEROUS_WORKSPACE, POOL_INSIDE_WORKSPACE */
export function checkWorkspacePath(check: WorkspacePathCheck): void {
  if (holds(check.ghostsnapHome, check.path)) {
    throw new GhostsnapError(
      'POOL_INSIDE_WORKSPACE',
      `${check.path} is ghostsnap's own directory.`,
      {
        hint: 'Choose the directory of a project.',
      },
    );
  }
  if (check.force === 'yes') return;
  const reason = dangerOf(check);
  if (reason === null) return;
  throw new GhostsnapError('DANGEROUS_WORKSPACE', `${check.path} is ${reason}.`, {
    hint: 'Choose the directory of one project, or pass --force if this is really meant.',
    data: { path: check.path, reason },
  });
}

function dangerOf(check: WorkspacePathCheck): string | null {
  if (check.path === check.homeDir) return 'your home directory';
  if (SYSTEM_TOPS.includes(check.path)) return 'a system directory';
  if (holds(check.path, check.homeDir)) return 'a directory that holds your home directory';
  if (SYSTEM_TREES.some((tree) => holds(tree, check.path))) return 'a system directory';
  const state = AGENT_STATE.find((name) => holds(path.join(check.homeDir, name), check.path));
  return state === undefined ? null : `the state directory ~/${state} of an agent`;
}

/** True when `inner` is `outer` or lies below it. */
function holds(outer: string, inner: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? '/' : `${outer}/`);
}
