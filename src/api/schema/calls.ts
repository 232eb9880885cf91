/** Sessions of agents and their tool calls on the wire. */
import { z } from 'zod';
import { PROMPT_BYTES_MAX } from '../../core/limits.ts';
import {
  callId,
  count,
  cursor,
  durationMs,
  instant,
  name,
  nextCursor,
  operationId,
  pageLimit,
  promptId,
  snapshotId,
  workspaceId,
} from './scalars.ts';
import { uncoveredView } from './snapshots.ts';

export const sessionView = z
  .strictObject({
    session: z.string(),
    harness: z.string(),
    /** The session whose agent started this one. */
    parent: z.string().nullable(),
    startedAt: instant,
    endedAt: instant.nullable(),
  })
  .meta({ id: 'Session' });

export const startSessionInput = z.strictObject({
  workspace: workspaceId,
  session: name,
  harness: name,
  parentSession: name.optional(),
});

export const listSessionsInput = z.strictObject({
  workspace: workspaceId,
  limit: pageLimit.optional(),
});
/** Newest start first. */
export const listSessionsOutput = z.strictObject({ sessions: z.array(sessionView) });

export const endSessionInput = z.strictObject({ workspace: workspaceId, session: name });
export const endSessionOutput = z.strictObject({ workspace: workspaceId, session: z.string() });

export const submitPromptInput = z.strictObject({
  workspace: workspaceId,
  session: name,
  harness: name,
  /** Kept redacted and cut to 1,024 bytes. */
  text: z.string().max(PROMPT_BYTES_MAX * 32),
});
export const submitPromptOutput = z.strictObject({ prompt: promptId });

export const listPromptsInput = z.strictObject({
  workspace: workspaceId,
  limit: pageLimit.optional(),
});
/** Newest first. */
export const listPromptsOutput = z.strictObject({
  prompts: z.array(
    z
      .strictObject({ prompt: promptId, session: z.string(), text: z.string(), at: instant })
      .meta({ id: 'Prompt' }),
  ),
});

/** `blocked`: it was not let run, so that nothing is judged. */
const outcome = z.enum(['ok', 'failed', 'unknown', 'blocked']);

export const beginCallInput = z.strictObject({
  workspace: workspaceId,
  session: name,
  harness: name,
  tool: name,
  /** The harness's own id of the call: begun again while it is in flight, it is the same call. */
  key: name,
  /** Any JSON; what is kept is redacted and bounded. */
  input: z.json().optional(),
  /** The tool changes nothing: the call shares the snapshot before it. */
  readOnly: z.boolean().default(false),
  /** `warn`: without a snapshot the call goes on, and says so. */
  onSnapshotFailure: z.enum(['block', 'warn']).default('block'),
});
/** What the service's policy says of a command that it recognises, before it runs. */
export const callAdvice = z
  .strictObject({
    /** `ask`: a person decides; where nobody can be asked, the call ends as `blocked`. */
    action: z.enum(['warn', 'ask']),
    /** What the agent, or that person, is to be told, as it is. */
    message: z.string(),
  })
  .meta({ id: 'Advice' });

/** On its arrival the tool may run, unless `advice` asks. */
export const beginCallOutput = z
  .strictObject({
    call: callId,
    /** The state before the call. */
    snapshot: snapshotId.nullable(),
    /** It lay ready, and nothing had changed since. */
    adopted: z.boolean(),
    /** The call was in flight already; nothing was done. */
    repeated: z.boolean(),
    overlaps: z.array(callId),
    /** Why there is no snapshot. */
    unprotected: z.string().nullable(),
    uncovered: z.array(uncoveredView),
    durationMs,
    /** null: nothing to say. Left out: the service has no policy. */
    advice: callAdvice.nullable().optional(),
  })
  .meta({ id: 'BegunCall' });

export const endCallInput = z.strictObject({
  workspace: workspaceId,
  call: callId,
  outcome,
});

const changes = z.strictObject({
  added: count,
  deleted: count,
  modified: count,
  digest: z.string(),
});

const findings = z.array(
  z.strictObject({ rule: z.string(), action: z.string(), message: z.string() }),
);

const judged = z.strictObject({
  action: z.string(),
  findings,
  operation: z.string().nullable(),
});

/** What the service's policy says of a call that ended. */
export const callVerdict = z
  .strictObject({
    /** The strongest one. `rollback`: the workspace was put back, when `operation` is there. */
    action: z.enum(['note', 'warn', 'ask', 'rollback']),
    /** What the agent is to be told, as it is; null: nothing. */
    message: z.string().nullable(),
    findings,
    /** The rollback that was done; `undo` takes it back. */
    operation: operationId.nullable(),
  })
  .meta({ id: 'Verdict' });

export const endCallOutput = z.strictObject({
  call: callId,
  outcome,
  /** null: nothing was found. Left out: the service has no policy and does not judge. */
  judged: callVerdict.nullable().optional(),
});

export const callView = z
  .strictObject({
    call: callId,
    session: z.string(),
    prompt: promptId.nullable(),
    tool: z.string(),
    /** Redacted JSON on one line. */
    input: z.string(),
    key: z.string(),
    snapshot: snapshotId.nullable(),
    readOnly: z.boolean(),
    unprotected: z.string().nullable(),
    overlaps: z.array(callId),
    begunAt: instant,
    endedAt: instant.nullable(),
    /** null: it is in flight. */
    outcome: outcome.nullable(),
    /** null: not counted. */
    changes: changes.nullable(),
    judged: judged.nullable(),
  })
  .meta({ id: 'Call' });

export const listCallsInput = z.strictObject({
  workspace: workspaceId,
  session: name.optional(),
  limit: pageLimit.optional(),
  cursor: cursor.optional(),
});
export const listCallsOutput = z.strictObject({
  /** Newest first. */
  calls: z.array(callView),
  nextCursor,
});

export const listUnattributedInput = z.strictObject({
  workspace: workspaceId,
  limit: pageLimit.optional(),
});
/** Snapshots before which something changed that no call did, newest first. */
export const listUnattributedOutput = z.strictObject({
  unattributed: z.array(
    z
      .strictObject({ snapshot: snapshotId, since: callId, at: instant })
      .meta({ id: 'Unattributed' }),
  ),
});

export const oneCallInput = z.strictObject({ workspace: workspaceId, call: callId });
