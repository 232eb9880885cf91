/**
 * Telling, loudly, what snapshots do not hold. A protected workspace with a hole in it is worse
 * than one without protection when nobody knows of the hole.
 */
import type { UncoveredPath } from '../backend/backend.ts';
import { displayPath } from '../core/raw-path.ts';
import type { Output } from './output.ts';

const SHOWN_MAX = 10;

const REASONS: Readonly<Record<UncoveredPath['reason'], string>> = {
  subvolume: 'a nested subvolume',
  mount: 'another filesystem is mounted there',
  socket: 'a socket',
  unreadable: 'it cannot be read',
  device: 'a device node',
  changing: 'it kept changing while it was read',
};

export function warnUncovered(output: Output, uncovered: readonly UncoveredPath[]): void {
  if (uncovered.length === 0) return;
  const count = uncovered.length === 1 ? '1 path is' : `${uncovered.length} paths are`;
  output.warn(`${count} not covered by snapshots:`);
  for (const { path, reason } of uncovered.slice(0, SHOWN_MAX)) {
    output.note(`  ${displayPath(path)}  (${REASONS[reason]})`);
  }
  if (uncovered.length > SHOWN_MAX) output.note(`  and ${uncovered.length - SHOWN_MAX} more`);
}

export function uncoveredJson(
  uncovered: readonly UncoveredPath[],
): readonly { readonly path: string; readonly reason: string }[] {
  return uncovered.map(({ path, reason }) => ({ path: displayPath(path), reason }));
}
