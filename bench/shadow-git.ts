/**
 * A shadow git, as agents do it today: a git directory of its own, `git add -A`, `git write-tree`.
 */
import { execFileSync } from 'node:child_process';

export interface ShadowGit {
  /** Captures the work tree; the id of the tree. */
  capture(): string;
}

export function makeShadowGit(gitDirectory: string, workTree: string): ShadowGit {
  const git = (...args: readonly string[]): string =>
    execFileSync('git', [`--git-dir=${gitDirectory}`, `--work-tree=${workTree}`, ...args], {
      cwd: workTree,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  execFileSync('git', ['init', '-q', '--bare', gitDirectory]);
  git('config', 'core.bare', 'false');
  git('config', 'gc.auto', '0');
  return {
    capture() {
      git('add', '-A', '.');
      return git('write-tree').trim();
    },
  };
}
