/**
 * One hook: payload in, reply out.
 *
 * A tool that may change things runs only when its snapshot is there, or when the person's settings say
 * that it may run without. Everything else that goes wrong stops no tool: a report that cannot be
 * recorded is said to the person and the work goes on. Where the workspace comes from, and what is done
 * afterwards while nobody waits, is the host's business.
 */

import { HOOK_PAYLOAD, parseStrictJson } from '../api/door/strict-json.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { CallOutcome } from '../core/event.ts';
import type { CallId } from '../core/ids.ts';
import type { Redaction } from '../core/kept-input.ts';
import {
  OUTCOME,
  type Outcome,
  outcomeOf as outcomeOfFailure,
  SPAN,
} from '../core/telemetry-names.ts';
import { parseTraceFields, type TraceContext } from '../core/trace-context.ts';
import { NO_TELEMETRY, type Telemetry } from '../engine/ports.ts';
import type { CallAdvice, Workspace } from '../engine/workspace-api.ts';
import { NOBODY_TO_ASK } from './call-guard.ts';
import type { Harness, HarnessName } from './harness/harness.ts';
import { harnessNamed, isBeforeTool } from './harness-table.ts';
import type { HookAction, HookOutcome, HookReply } from './hook-action.ts';
import { adviseInAll, beginInAll, endBlocked, type PlacedCall } from './placed-call.ts';

const PAYLOAD_WORDS = {
  subject: "The hook's payload",
  hint: 'Report it with the name and version of the harness: nothing was done.',
};

export interface AgentSettings {
  readonly onSnapshotFailure: 'block' | 'warn';
  readonly redaction: Redaction;
}

/** What became of a report, for `hook status`. */
export type HookNote = 'seen' | 'protected' | 'read-only' | 'outside' | 'unprotected' | 'blocked';

/** 'write', 'read': before a tool that may change things, or may not; 'report': afterwards. */
export type HookReason = 'write' | 'read' | 'report';

/** What a tool call or a report says of where it is about. */
export interface HookPlace {
  readonly session: string;
  /** Where the agent is; absolute. */
  readonly directory: string;
  /** The tool's; undefined: the report is about no call. */
  readonly input?: unknown;
}

export interface HookHost {
  readonly settings: AgentSettings;
  /**
   * The workspace around a directory, opened; it stays the host's. `null`: there is none, and none was
   * made; with what the person should be told about that, if anything.
   * @throws GhostsnapError when there is one and it can not be opened
   */
  workspaceAt(
    directory: string,
    why: HookReason,
  ): Promise<{ readonly workspace: Workspace | null; readonly notice: string | null }>;
  /**
   * Workspaces that are not around the directory: those that the input's paths lead into, and for a report those
   * that the session has been in. Opened; they stay the host's.
   * @throws GhostsnapError when one can not be opened
   */
  workspacesBeside(place: HookPlace, why: 'write' | 'report'): Promise<readonly Workspace[]>;
  /**
   * Resolves when the harness is about to give the hook up, and run the tool.
   * @param signal it need not be watched any more: it resolves at once
   */
  patienceEnds(signal: AbortSignal): Promise<void>;
  /** What a file that the harness writes ends with; '' when it cannot be read. */
  endOf(file: string): Promise<string>;
  /** What nobody waits for any more has failed. */
  failedLate(error: unknown): void;
  callBegun(workspace: Workspace, call: CallId): void;
  /** Judges the call by the policy. @returns what the agent is to be told; null: nothing */
  callEnded(workspace: Workspace, call: CallId): Promise<string | null>;
  note(harness: HarnessName, note: HookNote): void;
}

export interface HookRequest {
  readonly harness: string;
  /** The harness's name of the event, from the hook's configuration; '' when the payload says it. */
  readonly event: string;
  readonly body: Uint8Array;
  /** That came with it; a payload may say its own. */
  readonly trace?: TraceContext | undefined;
  /** Default: nobody listens. */
  readonly telemetry?: Telemetry;
}

/** @throws GhostsnapError BAD_ARGUMENT for a harness that does not exist; never for a payload */
export async function handleHook(request: HookRequest, host: HookHost): Promise<HookReply> {
  const harness = harnessNamed(request.harness);
  host.note(harness.name, 'seen');
  const { telemetry = NO_TELEMETRY } = request;
  const startNs = telemetry.nowNs();
  const read = readPayload(harness, request);
  const trace = telemetry.begin(request.trace ?? read.trace);
  try {
    const outcome = await outcomeOf({ harness, event: request.event, read, trace }, host);
    telemetry.end(SPAN.hook, trace, startNs, TOLD[outcome.type]);
    return harness.reply(request.event, outcome);
  } catch (failure) {
    telemetry.end(SPAN.hook, trace, startNs, outcomeOfFailure(failure));
    throw failure;
  }
}

const TOLD: Readonly<Record<HookOutcome['type'], Outcome>> = {
  ok: OUTCOME.ok,
  notice: OUTCOME.ok,
  advice: OUTCOME.ok,
  ask: OUTCOME.ok,
  feedback: OUTCOME.ok,
  block: OUTCOME.error,
  error: OUTCOME.error,
};

/** What the payload asks for, or why it cannot be known. */
interface ReadPayload {
  readonly asked: HookAction | GhostsnapError;
  readonly trace: TraceContext | undefined;
}

function readPayload(harness: Harness, request: HookRequest): ReadPayload {
  let trace: TraceContext | undefined;
  try {
    const payload = parseStrictJson(request.body, HOOK_PAYLOAD, PAYLOAD_WORDS);
    trace = parseTraceFields(payload);
    return { asked: harness.parse(payload, request.event), trace };
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    return { asked: error, trace };
  }
}

interface Hook extends Traced {
  readonly harness: Harness;
  readonly event: string;
  readonly read: ReadPayload;
}

async function outcomeOf(hook: Hook, host: HookHost): Promise<HookOutcome> {
  const { harness, event, trace } = hook;
  const { asked } = hook.read;
  if (asked instanceof GhostsnapError) {
    if (!isBeforeTool(event)) return { type: 'error', reason: sentence(asked) };
    host.note(harness.name, 'blocked');
    return { type: 'block', reason: `ghostsnap did not let this tool run. ${sentence(asked)}` };
  }
  if (asked.type === 'ignore') return { type: 'ok' };
  if (asked.type === 'begin-call') return await beginCall(harness, { ...asked, trace }, host);
  try {
    return await report(harness, { ...asked, trace }, host);
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    return { type: 'error', reason: sentence(error) };
  }
}

interface Traced {
  readonly trace: TraceContext | undefined;
}
type BeginAction = Extract<HookAction, { type: 'begin-call' }> & Traced;
type EndAction = Extract<HookAction, { type: 'end-call' }> & Traced;
type ReportAction = Exclude<HookAction, { type: 'begin-call' } | { type: 'ignore' }> & Traced;

async function beginCall(
  harness: Harness,
  action: BeginAction,
  host: HookHost,
): Promise<HookOutcome> {
  const { onSnapshotFailure } = host.settings;
  try {
    const { calls, notice } = await begunInTime(harness, action, host);
    if (calls.length === 0) host.note(harness.name, 'outside');
    const outcome = await answerBegun(harness, action, { calls, host });
    if (notice === null || outcome.type !== 'ok') return outcome;
    return { type: 'notice', message: notice };
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    // Nothing can be lost by a tool that changes nothing.
    if (action.readOnly === 'yes') return { type: 'ok' };
    if (onSnapshotFailure === 'warn') {
      host.note(harness.name, 'unprotected');
      return {
        type: 'notice',
        message: `ghostsnap: no snapshot before this tool. ${sentence(error)}`,
      };
    }
    host.note(harness.name, 'blocked');
    return blocked(error);
  }
}

interface Begun {
  /** Empty: outside of all workspaces. */
  readonly calls: readonly PlacedCall[];
  readonly notice: string | null;
}

/**
 * The call's beginning, or an error while the harness still waits for one. The snapshot goes on then: a tool that
 * is asked for again finds most of it done. Its call is in the log as not run, where the tool was stopped.
 */
async function begunInTime(harness: Harness, action: BeginAction, host: HookHost): Promise<Begun> {
  const watching = new AbortController();
  const begins = begin(harness, action, host);
  const late = host.patienceEnds(watching.signal).then(() => null);
  try {
    const begun = await Promise.race([begins, late]);
    if (begun !== null) return begun;
  } finally {
    watching.abort();
  }
  void endLate(begins, action, host);
  throw new GhostsnapError(
    'LOCKED',
    'The snapshot is not ready yet, and the harness waits no longer.',
    {
      hint: 'It is still being taken: a first one of a large tree takes minutes. Try again in a while.',
      data: { directory: action.directory },
    },
  );
}

/** What came too late: the harness was answered already, so a failure is for the daemon's log. */
async function endLate(begins: Promise<Begun>, action: BeginAction, host: HookHost): Promise<void> {
  try {
    const { calls } = await begins;
    if (host.settings.onSnapshotFailure === 'block') await endBlocked(calls);
  } catch (error) {
    // Nothing can be lost by a tool that changes nothing.
    if (action.readOnly !== 'yes') host.failedLate(error);
  }
}

async function begin(harness: Harness, action: BeginAction, host: HookHost): Promise<Begun> {
  const { onSnapshotFailure, redaction } = host.settings;
  const { workspace, notice } = await host.workspaceAt(
    action.directory,
    action.readOnly === 'yes' ? 'read' : 'write',
  );
  const beside = action.readOnly === 'yes' ? [] : await host.workspacesBeside(action, 'write');
  const { type: _type, directory: _directory, ...call } = action;
  const calls = await beginInAll(workspace === null ? beside : [workspace, ...beside], {
    ...{ ...call, harness: harness.name, onSnapshotFailure, redaction },
    ...(harness.runsAlone === undefined ? {} : { runsAlone: harness.runsAlone }),
  });
  return { calls, notice };
}

async function answerBegun(
  harness: Harness,
  action: BeginAction,
  { calls, host }: { readonly calls: readonly PlacedCall[]; readonly host: HookHost },
): Promise<HookOutcome> {
  if (calls.length === 0) return { type: 'ok' };
  for (const { workspace, begun } of calls) {
    if (!begun.repeated) host.callBegun(workspace, begun.call);
  }
  const unprotected = calls.find(({ begun }) => begun.unprotected !== null)?.begun.unprotected;
  if (typeof unprotected === 'string') {
    host.note(harness.name, 'unprotected');
    return { type: 'notice', message: `ghostsnap: no snapshot before this tool. ${unprotected}` };
  }
  host.note(harness.name, action.readOnly === 'yes' ? 'read-only' : 'protected');
  return action.readOnly === 'yes' ? { type: 'ok' } : await advise(harness, calls, action.input);
}

/** What the policy says before the tool runs. A policy that cannot be read stops no tool. */
async function advise(
  harness: Harness,
  calls: readonly PlacedCall[],
  input: unknown,
): Promise<HookOutcome> {
  let advice: CallAdvice | null;
  try {
    advice = await adviseInAll(calls, input);
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    return {
      type: 'notice',
      message: `ghostsnap: the policy could not be asked. ${sentence(error)}`,
    };
  }
  if (advice === null) return { type: 'ok' };
  const { action, message } = advice;
  if (action === 'warn') return { type: 'advice', message };
  if (harness.canAsk) return { type: 'ask', reason: message };
  await endBlocked(calls);
  return { type: 'block', reason: `${message}\n${NOBODY_TO_ASK}` };
}

/** The workspace around the agent comes first, then where its session has been. */
async function report(
  harness: Harness,
  action: ReportAction,
  host: HookHost,
): Promise<HookOutcome> {
  const { workspace } = await host.workspaceAt(action.directory, 'report');
  const beside = await host.workspacesBeside(action, 'report');
  const told: string[] = [];
  for (const one of workspace === null ? beside : [workspace, ...beside]) {
    const message = await reportTo(one, { harness, action, host });
    if (message === null) continue;
    told.push(one === workspace ? message : `In ${one.info.path}:\n${message}`);
  }
  return told.length === 0 ? { type: 'ok' } : { type: 'feedback', message: told.join('\n') };
}

/** @returns what the agent is to be told */
async function reportTo(
  workspace: Workspace,
  { harness, action, host }: { harness: Harness; action: ReportAction; host: HookHost },
): Promise<string | null> {
  const { session, parentSession, trace } = action;
  const request = { session, parentSession, harness: harness.name, trace };
  switch (action.type) {
    case 'start-session':
      await workspace.startSession(request);
      return null;
    case 'end-session':
      await workspace.endSession(session);
      return null;
    case 'prompt':
      await workspace.submitPrompt({
        ...{ ...request, text: action.text, redaction: host.settings.redaction },
      });
      return null;
    case 'end-call': {
      const call = await endCall(workspace, {
        ...action,
        outcome: await outcomeTold(action, host),
      });
      return call === null ? null : await host.callEnded(workspace, call);
    }
  }
}

async function outcomeTold(action: EndAction, host: HookHost): Promise<CallOutcome> {
  const { outcome, evidence } = action;
  if (evidence === undefined || outcome !== 'ok') return outcome;
  return evidence.outcomeIn(await host.endOf(evidence.file)) ?? outcome;
}

/** null: its beginning was not seen, or somebody else has reported the end. */
async function endCall(workspace: Workspace, action: EndAction): Promise<CallId | null> {
  const { session, key, outcome, trace } = action;
  try {
    return await workspace.endCall({ session, key, outcome, trace });
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'CALL_NOT_FOUND') return null;
    throw error;
  }
}

function blocked(error: GhostsnapError): HookOutcome {
  const reason =
    `ghostsnap could not take a snapshot, so this tool was not run. ${sentence(error)} ` +
    'To run tools without a snapshot, set agents.onSnapshotFailure to "warn".';
  return { type: 'block', reason };
}

function sentence(error: GhostsnapError): string {
  const hint = error.hint === undefined ? '' : ` ${error.hint}`;
  return `${error.code}: ${error.message}${hint}`;
}
