/**
 * What a caller may say about a snapshot, bounded and of one line: labels are shown on terminals, kept
 * in the catalog and exported.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotLabels } from '../core/event.ts';
import { LABEL_BYTES_MAX, NAME_BYTES_MAX } from '../core/limits.ts';
import { rawFromText } from '../core/raw-path.ts';
import type { SnapshotRequest } from './results.ts';

export const NO_LABELS: SnapshotLabels = { label: null, tool: null, session: null, call: null };

/** @throws GhostsnapError BAD_ARGUMENT naming the field that is too long or holds control characters */
export function parseLabels(request: SnapshotRequest): SnapshotLabels {
  return {
    label: parseLabel(request.label),
    tool: boundedText('tool', request.tool, NAME_BYTES_MAX),
    session: boundedText('session', request.session, NAME_BYTES_MAX),
    call: boundedText('call', request.call, NAME_BYTES_MAX),
  };
}

/** Texts that name something else wherever a snapshot is named: the newest, an id, the live tree. */
const TAKEN = /^(?:@(?:~\d+)?|live|ghost_[0-9A-HJKMNP-TV-Z]{26})$/;

/** @throws GhostsnapError BAD_ARGUMENT also for one that could never name its snapshot */
export function parseLabel(text: string | null | undefined): string | null {
  const label = boundedText('label', text, LABEL_BYTES_MAX);
  if (label === null || !TAKEN.test(label)) return label;
  throw new GhostsnapError('BAD_ARGUMENT', `${label} cannot be a label: it names something else.`, {
    hint: 'Give a label in words of your own.',
    data: { field: 'label' },
  });
}

export function boundedText(
  field: string,
  text: string | null | undefined,
  bytesMax: number,
): string | null {
  if (text === null || text === undefined || text === '') return null;
  const bytes = rawFromText(text).length;
  if (bytes > bytesMax) {
    throw new GhostsnapError(
      'BAD_ARGUMENT',
      `The ${field} has ${bytes} bytes; ${bytesMax} is the most.`,
      {
        hint: `Give a shorter ${field}.`,
        data: { field, bytes, bytesMax },
      },
    );
  }
  if (hasControlCharacter(text)) {
    throw new GhostsnapError('BAD_ARGUMENT', `The ${field} holds a control character.`, {
      hint: `Give a ${field} of one line of plain text.`,
      data: { field },
    });
  }
  return text;
}

/** @throws GhostsnapError BAD_ARGUMENT, also when it is missing or empty */
export function requiredName(field: string, text: string, bytesMax: number): string {
  const name = boundedText(field, text, bytesMax);
  if (name !== null) return name;
  throw new GhostsnapError('BAD_ARGUMENT', `The ${field} is missing.`, {
    hint: `Give the ${field}.`,
    data: { field },
  });
}

function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}
