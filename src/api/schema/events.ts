/** Events of a workspace on the wire, one after the other, from any sequence on. */
import { z } from 'zod';
import { instant, pageLimit, sequenceNumber, workspaceId } from './scalars.ts';

export const eventView = z
  .strictObject({
    workspace: workspaceId,
    sequence: sequenceNumber,
    at: instant,
    /** `call.begun`, `turn.completed`, ...: SPEC.md, "Events". More may come: ignore what is unknown. */
    type: z.string(),
    /** The event's own fields. */
    data: z.record(z.string(), z.json()),
  })
  .meta({ id: 'Event' });

export const listEventsInput = z.strictObject({
  workspace: workspaceId,
  /** The last sequence that is known already; 0: from the beginning. */
  after: sequenceNumber.default(0),
  limit: pageLimit.optional(),
});
export const listEventsOutput = z.strictObject({
  events: z.array(eventView),
  /** To be passed as `after`, whether there is more yet or not. */
  lastSequence: sequenceNumber,
});

/** The same without an end, as server-sent events; `Last-Event-ID` takes the place of `after`. */
export const followEventsInput = z.strictObject({
  workspace: workspaceId,
  after: sequenceNumber.default(0),
});
