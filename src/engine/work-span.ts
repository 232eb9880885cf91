/**
 * Which work on a workspace is a span, by the purpose that is shown to others who wait.
 */
import { SPAN, type SpanName } from '../core/telemetry-names.ts';

const SPANS_OF_WORK: Readonly<Record<string, SpanName>> = {
  snapshot: SPAN.snapshot,
  'begin a tool call': SPAN.callBegin,
  'end a tool call': SPAN.callEnd,
  arm: SPAN.arm,
  rollback: SPAN.rollback,
  restore: SPAN.rollback,
  undo: SPAN.rollback,
  redo: SPAN.rollback,
  'undo a tool call': SPAN.rollback,
  prune: SPAN.deleteSnapshots,
  open: SPAN.openWorkspace,
  destroy: SPAN.destroyWorkspace,
};

/** null: too small or too seldom to be one. */
export function spanOfWork(purpose: string): SpanName | null {
  return SPANS_OF_WORK[purpose] ?? null;
}
