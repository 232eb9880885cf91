/**
 * Counting what a tool call did, and a digest to know it again.
 *
 * The digest does not depend on the order of the changes, nor on which of two equal trees was looked at:
 * it is the sum of a hash a change, over what a second write would alter. It tells apart what happened
 * by accident, not what somebody forged.
 */
import type { CallChanges } from './event.ts';
import type { TreeChange } from './tree-change.ts';

export interface CallMeter {
  count(change: TreeChange): void;
  changes(): CallChanges;
}

export function createCallMeter(): CallMeter {
  let added = 0;
  let deleted = 0;
  let modified = 0;
  let low = 0;
  let high = 0;
  return {
    count: (change) => {
      if (change.kind === 'uncovered') return;
      if (change.kind === 'added') added += 1;
      else if (change.kind === 'deleted') deleted += 1;
      else modified += 1;
      const text = evidenceOf(change);
      low = (low + fnv1a(text, FNV_BASIS)) >>> 0;
      high = (high + fnv1a(text, SECOND_BASIS)) >>> 0;
    },
    changes: () => ({ added, deleted, modified, digest: hex(high) + hex(low) }),
  };
}

/** What a later write to the same path alters. Times of directories change with their entries. */
function evidenceOf({ path, kind, to }: TreeChange): string {
  if (to === null) return `${kind}\0${path}`;
  const { type, mode, sizeBytes, mtimeNs } = to;
  const content = type === 'file' ? `${sizeBytes}\0${mtimeNs}` : '';
  return `${kind}\0${path}\0${type}\0${mode}\0${content}`;
}

// The 32-bit FNV-1a hash: http://www.isthe.com/chongo/tech/comp/fnv/
const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** Any other start gives a second, independent enough half. */
const SECOND_BASIS = 0x9e3779b9;

function fnv1a(text: string, basis: number): number {
  let hash = basis;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  }
  return hash >>> 0;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
