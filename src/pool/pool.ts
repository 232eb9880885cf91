/**
 * Pools: where snapshots live.
 *
 * kind 'image': a btrfs image that root made, mounted at `root`. 'btrfs': a directory on a btrfs that
 * was there before. 'store': a directory of a content store on any filesystem. The pool's record, its
 * catalog and its lock files live in `<home>/pools/<name>/`, not in the pool: a full pool can still
 * record what is deleted from it.
 */
import type { PoolId } from '../core/ids.ts';

export interface PoolRecord {
  readonly format: 1;
  readonly id: PoolId;
  readonly name: string;
  readonly kind: 'image' | 'btrfs' | 'store';
  /** Absolute. `<root>/.ghostsnap/<workspace id>/` holds the snapshots. */
  readonly root: string;
  /** The image file of kind 'image', else null. */
  readonly image: string | null;
  readonly createdAtMs: number;
}

export const GHOST_DIRECTORY = '.ghostsnap';
