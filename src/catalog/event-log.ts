/**
 * The event log's rows: an event split into columns and put together again, without loss.
 *
 * The body is JSON of what the columns do not hold. Fields come back in the order they were written, so
 * that an event that was read is the event that was decided, byte for byte.
 */
import type { Event } from '../core/event.ts';
import type { WorkspaceId } from '../core/ids.ts';
import { corruptCatalog } from './sqlite-failure.ts';
import type { Row, Statements } from './statements.ts';

const INSERT_EVENT =
  'INSERT INTO events (workspace, sequence, at_ms, type, body) VALUES (?, ?, ?, ?, ?)';
const SELECT_EVENTS = `
SELECT sequence, at_ms, type, body FROM events
WHERE workspace = ? AND sequence > ? ORDER BY sequence LIMIT ?`;

/** Which workspace's log, in which file: for reading and for messages. */
export interface EventLogRef {
  readonly number: number;
  readonly workspace: WorkspaceId;
  readonly file: string;
}

export function appendEvent(statements: Statements, number: number, event: Event): void {
  const { workspace: _workspace, sequence, atMs, type, ...body } = event;
  statements.run(INSERT_EVENT, number, sequence, atMs, type, JSON.stringify(body));
}

/**
 * At most `limit` events after `afterSequence`, in order.
 * @throws GhostsnapError CATALOG_CORRUPT when a body is not JSON
 */
export function readEvents(
  statements: Statements,
  log: EventLogRef,
  afterSequence: number,
  limit: number,
): Event[] {
  const rows = statements.all(SELECT_EVENTS, log.number, afterSequence, limit);
  return rows.map((row) => decodeEvent(row, log));
}

/** In pages, so that a rebuild of a long log holds little of it and may write meanwhile. */
export function* readAllEvents(statements: Statements, log: EventLogRef): Generator<Event> {
  let last = 0;
  for (;;) {
    const page = readEvents(statements, log, last, EVENTS_A_PAGE);
    yield* page;
    const end = page.at(-1);
    if (end === undefined || page.length < EVENTS_A_PAGE) return;
    last = end.sequence;
  }
}

const EVENTS_A_PAGE = 1000;

function decodeEvent(row: Row, log: EventLogRef): Event {
  const head = {
    workspace: log.workspace,
    sequence: row.sequence,
    atMs: row.at_ms,
    type: row.type,
  };
  try {
    return { ...head, ...JSON.parse(String(row.body)) } as Event;
  } catch (error) {
    const what = `Event ${String(row.sequence)} of ${log.workspace} is not readable`;
    throw corruptCatalog(log.file, what, error);
  }
}
