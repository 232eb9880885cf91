/**
 * Taking a snapshot: decide the id, create it on disk, record it.
 *
 * The disk comes first: a snapshot whose record is lost (a kill between the two) is found and adopted
 * by the next open. So the record need only survive this process, and the hot path waits for no fsync
 * of the catalog.
 */
import type { CreateResult, WorkOptions } from '../backend/backend.ts';
import { assert, GhostsnapError } from '../core/errors.ts';
import type { SnapshotLabels, SnapshotRole } from '../core/event.ts';
import type { SnapshotId } from '../core/ids.ts';
import { LABEL_BYTES_MAX, NAME_BYTES_MAX } from '../core/limits.ts';
import { rawFromText } from '../core/raw-path.ts';
import type { SnapshotRequest } from './results.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface TakenSnapshot extends CreateResult {
  readonly id: SnapshotId;
}

export const NO_LABELS: SnapshotLabels = { label: null, tool: null, session: null, call: null };

/** Inside `session.run`. */
export async function takeSnapshot(
  session: WorkspaceSession,
  role: SnapshotRole,
  labels: SnapshotLabels,
  options: WorkOptions = {},
): Promise<TakenSnapshot> {
  const id = decideId(session);
  const created = await session.ports.backend.createSnapshot(session.ref, id, options);
  session.decide({ type: 'snapshot-taken', id, role, ...labels }, 'process-crash');
  return { id, uncovered: created.uncovered };
}

/** Inside `session.runSync`. */
export function takeSnapshotSync(
  session: WorkspaceSession,
  role: SnapshotRole,
  labels: SnapshotLabels,
): TakenSnapshot {
  const id = decideId(session);
  const created = session.ports.backend.createSnapshotSync(session.ref, id);
  session.decide({ type: 'snapshot-taken', id, role, ...labels }, 'process-crash');
  return { id, uncovered: created.uncovered };
}

function decideId(session: WorkspaceSession): SnapshotId {
  const random = session.ports.entropy.ulidRandom();
  const [effect] = session.decide({ type: 'take-snapshot', random }, 'process-crash');
  assert(effect?.type === 'create-snapshot', 'take-snapshot gives one create-snapshot');
  return effect.id;
}

/** @throws GhostsnapError BAD_ARGUMENT naming the field that is too long or holds control characters */
export function parseLabels(request: SnapshotRequest): SnapshotLabels {
  return {
    label: boundedText('label', request.label, LABEL_BYTES_MAX),
    tool: boundedText('tool', request.tool, NAME_BYTES_MAX),
    session: boundedText('session', request.session, NAME_BYTES_MAX),
    call: boundedText('call', request.call, NAME_BYTES_MAX),
  };
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

function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}
