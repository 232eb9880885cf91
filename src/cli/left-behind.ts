/**
 * Noticing that the person's shell no longer stands where it seems to.
 *
 * What exchanges the whole tree (init on btrfs, a swap, destroy) puts another directory at the
 * path. A process that stands inside follows the old one: its prompt shows the right path and its
 * commands work on a tree that is gone. Our own current directory is inherited from that shell, so
 * what is true of it is true of the shell.
 */
import { type Stats, statSync } from 'node:fs';
import type { CliContext } from './cli-context.ts';

export function noteIfLeftBehind(context: CliContext): void {
  const { cwd } = context.environment;
  const here = statOrNull('.');
  const there = statOrNull(cwd);
  const isSame = here !== null && here.ino === there?.ino && here.dev === there.dev;
  if (isSame || there === null) return;
  context.output.warn('your shell still stands in the old directory; step into the new one with:');
  context.output.note('  cd "$PWD"');
}

function statOrNull(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    // A directory that was removed is the case in question, not a failure.
    return null;
  }
}
