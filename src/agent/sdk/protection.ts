/**
 * What all wrappers of agent SDKs have in common: a snapshot before each call, and a handle to go back.
 *
 * A call whose snapshot fails does not run: the SDK is given the error in place of a result. Nothing here
 * knows any SDK; the wrappers read the shapes they wrap and import none of their packages.
 */
import { randomUUID } from 'node:crypto';
import { GhostsnapError } from '../../core/errors.ts';
import type { SnapshotId } from '../../core/ids.ts';
import type { CallInfo } from '../../engine/call-results.ts';
import type { RollbackRequest, TurnResult } from '../../engine/results.ts';
import type { Workspace } from '../../engine/workspace-api.ts';
import type { BegunCall, OnSnapshotFailure } from '../call-guard.ts';
import { failureText } from '../failure-text.ts';
import { nameOf, WorkspaceGuard } from '../workspace-guard.ts';
import { errorWithMessage } from './told-error.ts';
import { withMessage } from './told-result.ts';

export interface ProtectOptions {
  /** From `openWorkspace`; it stays open, and is the caller's to close, after the handle. */
  readonly workspace: Workspace;
  /** Groups the calls in the log; default: a new name. */
  readonly session?: string;
  /** Tools that change nothing: they take no snapshot. Default: none. */
  readonly readOnly?: readonly string[];
  /** 'block' (default): a call whose snapshot fails does not run. 'warn': it runs, and it is told. */
  readonly onSnapshotFailure?: OnSnapshotFailure;
  /** Told what could not be recorded; default: a warning of the process. */
  readonly onProblem?: (text: string) => void;
}

/** The way back for one set of tools. */
export interface Handle extends AsyncDisposable {
  readonly session: string;
  /** The calls of this session, newest first. */
  calls(limit?: number): readonly CallInfo[];
  /**
   * Turns the workspace back to the state before a call: what it did goes, and everything after it.
   * The state before is kept; `workspace.undo()` takes this back.
   * @param callId the SDK's own id of the call
   * @throws GhostsnapError CALL_NOT_FOUND; BAD_ARGUMENT for a read-only call; SNAPSHOT_NOT_FOUND
   */
  undo(callId: string, request?: RollbackRequest): Promise<TurnResult>;
  /** @param spec a snapshot: id, beginning of an id, label, "@" or "@~N" */
  rollback(spec: string, request?: RollbackRequest): Promise<TurnResult>;
  /** Ends the session in the log. Calls must have ended. */
  close(): Promise<void>;
}

export interface SdkCall {
  readonly tool: string;
  /** The SDK's id of the call; null where it gives none. */
  readonly key: string | null;
  readonly input: unknown;
}

export interface Protection {
  readonly handle: Handle;
  /** @throws GhostsnapError with the failure's code and a message for the model */
  begin(call: SdkCall): Promise<BegunCall>;
  /**
   * Runs `work` between a call's beginning and its end; not at all when there is no snapshot. The result, or
   * the error, carries what the policy says of the call, if anything.
   */
  run<T>(call: SdkCall, work: () => PromiseLike<T> | T): Promise<T>;
  /** Tells the end of a call that succeeded. @returns its result, with what the policy says of the call */
  finish<T>(begun: BegunCall, result: T): Promise<T>;
  /** Tells the end of a call that threw. @returns what is to be thrown, with what the policy says of the call */
  fail(begun: BegunCall, error: unknown): Promise<unknown>;
}

/** Calls looked through for one that is to be undone, at a time. */
const CALLS_PAGE = 100;

/** What a wrapper says of its SDK. */
export interface SdkTraits {
  readonly harness: string;
  /** 'yes': `BegunCall.question` opens the SDK's own permission dialog. */
  readonly canAsk: 'yes' | 'no';
}

export function createProtection(options: ProtectOptions, traits: SdkTraits): Protection {
  const { harness, canAsk } = traits;
  const { workspace } = options;
  const session = options.session ?? `${harness}-${randomUUID()}`;
  const readOnly = new Set(options.readOnly);
  const onProblem = options.onProblem ?? warnOfProcess;
  const guard = new WorkspaceGuard({
    ...{ workspace, session, harness, canAsk },
    onSnapshotFailure: options.onSnapshotFailure ?? 'block',
    onProblem,
  });
  const finish: Protection['finish'] = async (begun, result) => {
    const message = await begun.end('ok');
    if (message === null) return result;
    const told = withMessage(result, message);
    if (told === null) onProblem(message);
    return told ?? result;
  };
  const fail: Protection['fail'] = async (begun, error) => {
    const message = await begun.end('failed');
    if (message === null) return error;
    const told = errorWithMessage(error, message);
    if (told === null) onProblem(message);
    return told ?? error;
  };
  let unnamed = 0;
  const begin = async ({ tool, key, input }: SdkCall): Promise<BegunCall> => {
    if (key === null) unnamed += 1;
    const call = { tool, key: key ?? `unnamed-${unnamed}`, input };
    try {
      return await guard.begin({ ...call, readOnly: readOnly.has(tool) ? 'yes' : 'no' });
    } catch (failure) {
      throw refused(failure);
    }
  };
  return {
    handle: createHandle(workspace, session, guard),
    begin,
    ...{ finish, fail },
    run: async (call, work) => {
      const begun = await begin(call);
      let result: Awaited<ReturnType<typeof work>>;
      try {
        result = await work();
      } catch (error) {
        throw await fail(begun, error);
      }
      return await finish(begun, result);
    },
  };
}

/** SDKs show a model the message of an error and nothing else: all that helps has to be in it. */
function refused(cause: unknown): GhostsnapError {
  const message = failureText(cause);
  if (!(cause instanceof GhostsnapError)) return new GhostsnapError('IO', message, { cause });
  return new GhostsnapError(cause.code, message, { data: cause.data, cause });
}

function createHandle(workspace: Workspace, session: string, guard: WorkspaceGuard): Handle {
  const close = (): Promise<void> => guard.close();
  return {
    session,
    calls: (limit = CALLS_PAGE) => workspace.listCalls({ session: nameOf(session), limit }),
    undo: async (callId, request = {}) =>
      await workspace.rollback(stateBefore(findCall(workspace, session, callId)), request),
    rollback: (spec, request = {}) => workspace.rollback(spec, request),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The newest call of that name. */
function findCall(workspace: Workspace, session: string, callId: string): CallInfo {
  const key = nameOf(callId);
  let before: CallInfo | undefined;
  for (;;) {
    const query = { session: nameOf(session), limit: CALLS_PAGE };
    const page = workspace.listCalls(
      before === undefined ? query : { ...query, before: before.call },
    );
    const found = page.find((call) => call.key === key);
    if (found !== undefined) return found;
    before = page.at(-1);
    if (before === undefined) break;
  }
  throw new GhostsnapError('CALL_NOT_FOUND', `There is no call ${callId} in this session.`, {
    hint: 'Name it by the id that the SDK gave it; handle.calls() lists them as "key".',
    data: { call: callId, session },
  });
}

/** @throws GhostsnapError BAD_ARGUMENT, SNAPSHOT_NOT_FOUND */
function stateBefore(call: CallInfo): SnapshotId {
  // It shares the snapshot of an earlier call: going there would undo that one.
  if (call.readOnly) {
    throw new GhostsnapError('BAD_ARGUMENT', `The call ${call.key} was read-only.`, {
      hint: 'There is nothing of it to undo.',
    });
  }
  if (call.snapshot !== null) return call.snapshot;
  const why = call.unprotected ?? 'none was taken';
  throw new GhostsnapError('SNAPSHOT_NOT_FOUND', `The call ${call.key} has no snapshot: ${why}.`, {
    hint: 'Go back to an earlier one with handle.rollback().',
  });
}

/**
 * Hands on what an asynchronous generator gives, and tells its end.
 * @param last 'yielded': the last value given is the tool's result, and is given again when the policy has
 *   something to say; 'returned': what the generator returns is
 */
export async function* endedWith<T, R>(
  on: {
    readonly protection: Protection;
    readonly begun: BegunCall;
    readonly last: 'yielded' | 'returned';
  },
  values: AsyncGenerator<T, R> | AsyncIterable<T>,
): AsyncGenerator<T, R | undefined> {
  const { protection, begun, last } = on;
  let outcome: 'ok' | 'failed' | 'unknown' = 'unknown';
  let newest: { readonly value: T } | null = null;
  try {
    const iterator: AsyncIterator<T, R | undefined> = values[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await iterator.next();
        if (next.done === true) {
          outcome = 'ok';
          if (last === 'returned') return await protection.finish(begun, next.value);
          if (newest === null) return next.value;
          const told = await protection.finish(begun, newest.value);
          if (told !== newest.value) yield told;
          return next.value;
        }
        newest = { value: next.value };
        yield next.value;
      }
    } finally {
      // Whoever reads has stopped early: the tool is told.
      if (outcome !== 'ok') await iterator.return?.(undefined);
    }
  } catch (error) {
    outcome = 'failed';
    throw await protection.fail(begun, error);
  } finally {
    await begun.end(outcome);
  }
}

/** A copy of a tool, with everything that is attached to it, and some of it replaced. */
export function withReplaced<T extends object>(
  tool: T,
  replaced: Readonly<Record<string, unknown>>,
): T {
  const copy: T = Object.create(
    Object.getPrototypeOf(tool),
    Object.getOwnPropertyDescriptors(tool),
  );
  for (const [name, value] of Object.entries(replaced)) {
    Object.defineProperty(copy, name, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return copy;
}

function warnOfProcess(text: string): void {
  process.emitWarning(text, { type: 'ghostsnap' });
}
