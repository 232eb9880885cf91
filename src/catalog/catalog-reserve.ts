/**
 * Space put by for the day the disk is full.
 *
 * A deletion frees space but must be recorded first, and a full disk takes no record. So a file of
 * random bytes (a filesystem that compresses would keep zeros for nothing) lies beside the catalog. It is
 * given up to record what frees space, goes back or mends; until it could be made again, nothing that
 * only adds is recorded, or it would eat what the next deletion needs.
 */
import { randomBytes } from 'node:crypto';
import { rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../backend/syscall-failure.ts';
import type { Event } from '../core/event.ts';

/** A few hundred pages: the record of the largest deletion and the log's and index's growth around it. */
export const RESERVE_BYTES = 1 << 20;

/** It is made again only where this many times its size is free, so that it is not what fills the disk. */
const HEADROOM_FACTOR = 2;

/** SQLite's index beside an open database has 32 KiB, and the log needs its first pages. */
const OPENING_BYTES = 64 * 1024;

export class CatalogReserve {
  readonly #file: string;
  readonly #sizeBytes: number;
  #isWhole: boolean;

  /** @param sizeBytes 0: none is kept */
  constructor(catalogFile: string, sizeBytes: number) {
    this.#file = reserveFileOf(catalogFile);
    this.#sizeBytes = sizeBytes;
    this.#isWhole = sizeBytes === 0 || this.#heldBytes() === sizeBytes;
  }

  /** Makes it when it is not whole and there is room. False: it still is not. */
  ensure(): boolean {
    if (!this.#isWhole) this.#isWhole = this.#make();
    return this.#isWhole;
  }

  /** Frees all of its space. False: there was none to free. */
  giveUp(): boolean {
    if (this.#sizeBytes === 0 || this.#heldBytes() === 0) return false;
    return this.#free(() => rmSync(this.#file, { force: true }));
  }

  /** Frees what opening needs, and keeps the rest for a deletion. False: there was none to free. */
  giveUpForOpening(): boolean {
    const heldBytes = this.#heldBytes();
    if (this.#sizeBytes === 0 || heldBytes === 0) return false;
    return this.#free(() => truncateSync(this.#file, Math.max(0, heldBytes - OPENING_BYTES)));
  }

  /** False: a quota that is used up may not even let go of what counts against it. */
  #free(work: () => void): boolean {
    try {
      work();
      this.#isWhole = false;
      return true;
    } catch (error) {
      if (errnoOf(error) === 'EDQUOT' || errnoOf(error) === 'ENOSPC') return false;
      throw error;
    }
  }

  #heldBytes(): number {
    return statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
  }

  #make(): boolean {
    try {
      const { bavail, bsize } = statfsSync(dirname(this.#file));
      if (bavail * bsize < this.#sizeBytes * HEADROOM_FACTOR) return false;
      writeFileSync(this.#file, randomBytes(this.#sizeBytes), { mode: 0o600 });
      return true;
    } catch {
      // No room after all, or a read-only disk: the caller only learns that there is none.
      rmSync(this.#file, { force: true });
      return false;
    }
  }
}

export function reserveFileOf(catalogFile: string): string {
  return catalogFile.replace(/(\.db)?$/, '.reserve');
}

/** True for what frees space, goes back to a state or mends: it must be possible on a full disk. */
export function mayUseReserve(events: readonly Event[]): boolean {
  return events.every(isEssential);
}

function isEssential(event: Event): boolean {
  switch (event.type) {
    case 'snapshot.created':
      return event.role !== 'ordinary';
    case 'workspace.created':
    case 'workspace.activated':
    case 'snapshot.armed':
    case 'snapshot.labelled':
    case 'snapshot.pinned':
    case 'session.started':
    case 'session.ended':
    case 'prompt.submitted':
    case 'call.begun':
    case 'call.ended':
    case 'call.measured':
    case 'call.judged':
    case 'change.unattributed':
      return false;
    case 'workspace.rebound':
    case 'workspace.destroying':
    case 'workspace.destroyed':
    case 'snapshot.unpinned':
    case 'snapshot.disarmed':
    case 'snapshot.lost':
    case 'snapshots.deleting':
    case 'snapshots.deleted':
    case 'turn.started':
    case 'turn.completed':
    case 'turn.abandoned':
      return true;
  }
}
