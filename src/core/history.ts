/**
 * The undo history's arithmetic.
 *
 * The history is an editor's list of states, (position, snapshot), kept by the catalog. `cursor` is
 * where the live tree stands in it; `cursor === historyLength` means "after the last entry". Something
 * new cuts what lies beyond the entry the cursor stands on and is appended. State and catalog both use
 * `historyStep`, so that they cannot disagree.
 */
import type { EventBody } from './event.ts';
import type { SnapshotId } from './ids.ts';

export interface HistoryPosition {
  readonly historyLength: number;
  readonly cursor: number;
}

export interface HistoryStep extends HistoryPosition {
  /** Entries at this position and beyond are removed first. */
  readonly cutFrom: number;
  /** Then these are appended, the first one at `cutFrom`. */
  readonly append: readonly SnapshotId[];
}

/** What an event does to the history; null when it does nothing to it. */
export function historyStep(at: HistoryPosition, event: EventBody): HistoryStep | null {
  if (event.type === 'snapshot.created') {
    return event.role === 'ordinary' ? appended(at, [event.id]) : null;
  }
  if (event.type !== 'turn.started') return null;
  if (event.cursor === null) {
    const entries =
      event.kind === 'rollback' ? [event.precautionary, event.target] : [event.precautionary];
    return appended(at, entries);
  }
  // The first undo leaves a state that is nowhere in the list yet: without it redo could not come back.
  const isAtEnd = at.cursor === at.historyLength;
  if (event.kind !== 'undo' || !isAtEnd) return null;
  return {
    cutFrom: at.historyLength,
    append: [event.precautionary],
    historyLength: at.historyLength + 1,
    cursor: at.cursor,
  };
}

function appended(at: HistoryPosition, entries: readonly SnapshotId[]): HistoryStep {
  const cutFrom = Math.min(at.cursor + 1, at.historyLength);
  const historyLength = cutFrom + entries.length;
  return { cutFrom, append: entries, historyLength, cursor: historyLength };
}
