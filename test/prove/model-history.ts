/**
 * The model of undo and redo: an editor's list of states, written from what the documents promise.
 *
 * Every snapshot and every state that a rollback leaves is an entry; something new cuts what lies beyond
 * where the tree stands. Undo goes to the nearest earlier entry that looks different, redo to the nearest
 * later one, and only while nothing was edited since.
 */
import type { SnapshotId } from '../../src/core/ids.ts';

export interface HistoryEntry {
  readonly position: number;
  readonly id: SnapshotId;
}

export class ModelHistory {
  #entries: HistoryEntry[] = [];
  #length = 0;
  /** Where the live tree stands; `#length`: after the last entry. */
  #cursor = 0;

  /** New states, in order. */
  append(...ids: readonly SnapshotId[]): void {
    const cut = Math.min(this.#cursor + 1, this.#length);
    this.#entries = this.#entries.filter(({ position }) => position < cut);
    for (const [index, id] of ids.entries()) this.#entries.push({ position: cut + index, id });
    this.#length = cut + ids.length;
    this.#cursor = this.#length;
  }

  /** A snapshot that is deleted takes its entry with it; the others keep their places. */
  forget(id: SnapshotId): void {
    this.#entries = this.#entries.filter((entry) => entry.id !== id);
  }

  undoTarget(differs: (id: SnapshotId) => boolean): HistoryEntry | null {
    const end = this.#cursor === this.#length ? this.#length : this.#cursor + 1;
    const earlier = this.#entries.filter(({ position }) => position < end);
    return earlier.findLast(({ id }) => differs(id)) ?? null;
  }

  redoTarget(differs: (id: SnapshotId) => boolean): HistoryEntry | null {
    if (this.#cursor === this.#length) return null;
    const here = this.#entries.find(({ position }) => position === this.#cursor);
    if (here !== undefined && differs(here.id)) return null;
    const later = this.#entries.filter(({ position }) => position > this.#cursor);
    return later.find(({ id }) => differs(id)) ?? null;
  }

  /** @param left the precautionary snapshot of the state that was left */
  undone(to: HistoryEntry, left: SnapshotId): void {
    // The first undo leaves a state that is nowhere in the list yet: redo must be able to come back.
    if (this.#cursor === this.#length) {
      this.#entries.push({ position: this.#length, id: left });
      this.#length += 1;
    }
    this.#cursor = to.position;
  }

  redone(to: HistoryEntry): void {
    this.#cursor = to.position;
  }
}
