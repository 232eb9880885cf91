/**
 * Mending a catalog as far as its file allows: nothing, then its projections, then a new file.
 *
 * Projections that are wrong are made again from the events, and every label stays. A file whose
 * structure or events are damaged is set aside, never deleted; the next open makes a new one, which
 * recovery fills from the disk.
 */
import { isThere } from '../backend/is-there.ts';
import { GhostsnapError } from '../core/errors.ts';
import { quarantineCatalog } from './quarantine-catalog.ts';
import { type RebuildOptions, rebuildProjections } from './rebuild-projections.ts';
import { verifyCatalog } from './verify-catalog.ts';

export type MendOutcome =
  | { readonly outcome: 'missing' | 'sound' | 'rebuilt' }
  | { readonly outcome: 'set-aside'; readonly to: string };

/** How long another writer is waited for. */
export type MendOptions = Pick<RebuildOptions, 'busyTimeoutMs'>;

/**
 * May be killed and called again at any point. The caller has no connection open.
 * @throws GhostsnapError FORMAT_TOO_NEW, NOT_PERMITTED, LOCKED, POOL_FULL, IO; the file is as it was then
 */
export function mendCatalog(file: string, options: MendOptions = {}): MendOutcome {
  if (!isThere(file)) return { outcome: 'missing' };
  if (verifyCatalog({ file }).length === 0) return { outcome: 'sound' };
  const isRebuilt = tryRebuild({ file, ...options });
  if (isRebuilt && verifyCatalog({ file }).length === 0) return { outcome: 'rebuilt' };
  const to = quarantineCatalog(file);
  return to === null ? { outcome: 'missing' } : { outcome: 'set-aside', to };
}

function tryRebuild(options: RebuildOptions): boolean {
  try {
    rebuildProjections(options);
    return true;
  } catch (error) {
    // The events are damaged as well; anything else says nothing about the file.
    if (error instanceof GhostsnapError && error.code === 'CATALOG_CORRUPT') return false;
    throw error;
  }
}
