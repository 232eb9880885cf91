/**
 * What the service can be asked, by name: one strict input and one output each.
 *
 * An input is one flat object, however it travels: HTTP brings some of its fields in the path, some in
 * the query and the rest in the body; a frame brings it whole. `routes.ts` says which way and who may.
 */
import type { z } from 'zod';
import {
  beginCallInput,
  beginCallOutput,
  callView,
  endCallInput,
  endCallOutput,
  endSessionInput,
  endSessionOutput,
  listCallsInput,
  listCallsOutput,
  listPromptsInput,
  listPromptsOutput,
  listSessionsInput,
  listSessionsOutput,
  listUnattributedInput,
  listUnattributedOutput,
  oneCallInput,
  sessionView,
  startSessionInput,
  submitPromptInput,
  submitPromptOutput,
} from './calls.ts';
import { eventView, followEventsInput, listEventsInput, listEventsOutput } from './events.ts';
import {
  diffInput,
  diffOutput,
  labelSnapshotInput,
  listSnapshotsInput,
  listSnapshotsOutput,
  listUncoveredOutput,
  oneSnapshotInput,
  pruneInput,
  pruneOutput,
  readContentInput,
  readContentOutput,
  snapshotView,
  takeSnapshotInput,
  takeSnapshotOutput,
  usageInput,
  usageOutput,
  workspaceUsageOutput,
} from './snapshots.ts';
import {
  listOperationsInput,
  listOperationsOutput,
  planTurnInput,
  planTurnOutput,
  planUndoCallInput,
  planUndoCallOutput,
  restoreInput,
  rollbackInput,
  turnView,
  undoCallInput,
  undoneCallView,
  walkInput,
} from './turns.ts';
import {
  adoptWorkspaceInput,
  createWorkspaceInput,
  deleteWorkspaceInput,
  deleteWorkspaceOutput,
  listWorkspacesInput,
  listWorkspacesOutput,
  oneWorkspaceInput,
  workspaceStatus,
  workspaceView,
} from './workspaces.ts';

/** One answer each. */
export const OPERATIONS = {
  createWorkspace: { input: createWorkspaceInput, output: workspaceView },
  adoptWorkspace: { input: adoptWorkspaceInput, output: workspaceView },
  listWorkspaces: { input: listWorkspacesInput, output: listWorkspacesOutput },
  getWorkspace: { input: oneWorkspaceInput, output: workspaceStatus },
  deleteWorkspace: { input: deleteWorkspaceInput, output: deleteWorkspaceOutput },
  startSession: { input: startSessionInput, output: sessionView },
  listSessions: { input: listSessionsInput, output: listSessionsOutput },
  endSession: { input: endSessionInput, output: endSessionOutput },
  submitPrompt: { input: submitPromptInput, output: submitPromptOutput },
  listPrompts: { input: listPromptsInput, output: listPromptsOutput },
  beginCall: { input: beginCallInput, output: beginCallOutput },
  endCall: { input: endCallInput, output: endCallOutput },
  listCalls: { input: listCallsInput, output: listCallsOutput },
  getCall: { input: oneCallInput, output: callView },
  listUnattributed: { input: listUnattributedInput, output: listUnattributedOutput },
  undoCall: { input: undoCallInput, output: undoneCallView },
  planUndoCall: { input: planUndoCallInput, output: planUndoCallOutput },
  takeSnapshot: { input: takeSnapshotInput, output: takeSnapshotOutput },
  listSnapshots: { input: listSnapshotsInput, output: listSnapshotsOutput },
  getSnapshot: { input: oneSnapshotInput, output: snapshotView },
  pinSnapshot: { input: oneSnapshotInput, output: snapshotView },
  unpinSnapshot: { input: oneSnapshotInput, output: snapshotView },
  labelSnapshot: { input: labelSnapshotInput, output: snapshotView },
  diff: { input: diffInput, output: diffOutput },
  readContent: { input: readContentInput, output: readContentOutput },
  listUncovered: { input: oneWorkspaceInput, output: listUncoveredOutput },
  planTurn: { input: planTurnInput, output: planTurnOutput },
  rollback: { input: rollbackInput, output: turnView },
  restore: { input: restoreInput, output: turnView },
  undo: { input: walkInput, output: turnView },
  redo: { input: walkInput, output: turnView },
  listOperations: { input: listOperationsInput, output: listOperationsOutput },
  prune: { input: pruneInput, output: pruneOutput },
  getUsage: { input: usageInput, output: usageOutput },
  getWorkspaceUsage: { input: oneWorkspaceInput, output: workspaceUsageOutput },
  listEvents: { input: listEventsInput, output: listEventsOutput },
} as const satisfies Record<string, Operation>;

/** Answers without an end, one item after the other. */
export const STREAMS = {
  followEvents: { input: followEventsInput, item: eventView },
} as const;

interface Operation {
  readonly input: z.ZodObject;
  readonly output: z.ZodType;
}

export type OperationName = keyof typeof OPERATIONS;
export type StreamName = keyof typeof STREAMS;

/** As it is once it was parsed. */
export type InputOf<Name extends OperationName> = z.output<(typeof OPERATIONS)[Name]['input']>;
export type OutputOf<Name extends OperationName> = z.output<(typeof OPERATIONS)[Name]['output']>;

export type FollowEventsInput = z.output<typeof followEventsInput>;
export type EventView = z.output<typeof eventView>;
