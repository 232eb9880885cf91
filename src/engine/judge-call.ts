/**
 * Judging a tool call by the policy, from what it really changed, and acting on the verdict.
 *
 * The rules in the workspace's own file count as they stood before the call: what a call writes there is
 * judged and does not judge. One pass over the changes serves counting and judging. A rollback that the
 * policy demands is an ordinary turn with its precautionary snapshot, so undo takes it back; it is not
 * done while another call was running, whose work it would take away as well.
 */
import type { TreeReader } from '../backend/backend.ts';
import { createCallMeter } from '../core/call-meter.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { CallChanges, CallJudgement } from '../core/event.ts';
import type { CallId, SnapshotId } from '../core/ids.ts';
import { keptLine } from '../core/kept-input.ts';
import { NAME_BYTES_MAX, POLICY_FILE_BYTES_MAX, POLICY_FINDINGS_KEPT_MAX } from '../core/limits.ts';
import { judgeChanges, verdictOf } from '../core/policy/judge-changes.ts';
import type { Finding, SourcedRule, Verdict } from '../core/policy/policy-rule.ts';
import { type RollbackOutcome, verdictForAgent } from '../core/policy/verdict-text.ts';
import { joinRaw, type RawName, type RawPath, ROOT_PATH } from '../core/raw-path.ts';
import { stateAfterCall } from './call-state.ts';
import type { CallRow } from './ports.ts';
import type { TurnResult } from './results.ts';
import { requireCall } from './tool-calls.ts';
import { turnTree } from './turn-tree.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** The workspace's own policy, relative to its root. */
export const WORKSPACE_POLICY_FILE = 'ghostsnap.json';

/** Rules in force; given by whoever knows configuration files. */
export interface PolicySource {
  /**
   * @param workspaceFile the text of the workspace's file; null: there is none
   * @returns problems in place of its rules when the file cannot be used: never an error, so that an
   *   agent that breaks the file switches nothing off
   */
  rulesWith(workspaceFile: string | null): Promise<PolicyInForce>;
}

export interface PolicyInForce {
  readonly rules: readonly SourcedRule[];
  readonly problems: readonly string[];
}

export interface JudgeOptions {
  /**
   * 'plan': says what would be said; nothing is recorded or rolled back. 'hold': a rollback that is
   * demanded is left to the caller, who asks again with 'apply'; until then the verdict is not recorded.
   * Default 'apply'.
   */
  readonly act?: 'apply' | 'hold' | 'plan';
  readonly signal?: AbortSignal | undefined;
}

export interface Judgement extends Verdict {
  readonly call: CallId;
  /** What the call changed; null when it has no snapshot of its own. */
  readonly changes: CallChanges | null;
  /** The rollback that followed; null: none did. */
  readonly rolledBack: TurnResult | null;
  /** What the agent is to be told; null: nothing. */
  readonly message: string | null;
}

/**
 * @throws GhostsnapError CALL_NOT_FOUND; SNAPSHOT_NOT_FOUND when the states are not kept any more;
 *   INTERRUPTED through `signal`
 */
export async function judgeCall(
  session: WorkspaceSession,
  source: PolicySource,
  request: JudgeOptions & { readonly call: string },
): Promise<Judgement> {
  const row = requireCall(session, request.call);
  if (row.readOnly || row.snapshot === null) {
    return { ...NOTHING_FOUND, call: row.call, changes: row.changes, rolledBack: null };
  }
  const { verdict, changes } = await judgeStates(session, source, {
    ...{ row, before: row.snapshot, signal: request.signal },
  });
  if (request.act === 'plan') {
    const message = verdictForAgent(verdict, 'planned');
    return { ...verdict, call: row.call, changes, rolledBack: null, message };
  }
  return await session.run({ purpose: 'judge a tool call', signal: request.signal }, () =>
    actOn(session, { row, verdict, changes, act: request.act, signal: request.signal }),
  );
}

const NOTHING_FOUND = { action: 'none', findings: [], message: null } as const;

async function judgeStates(
  session: WorkspaceSession,
  source: PolicySource,
  states: {
    readonly row: CallRow;
    readonly before: SnapshotId;
    readonly signal: AbortSignal | undefined;
  },
): Promise<{ readonly verdict: Verdict; readonly changes: CallChanges }> {
  const { backend } = session.ports;
  const { row, before, signal } = states;
  const after = stateAfterCall(session, row);
  using tree = await backend.openTree(session.ref, before);
  const { rules, problems } = await source.rulesWith(readPolicyFile(tree));
  const judge = judgeChanges(rules);
  const meter = createCallMeter();
  const options = { mtimes: false, ...(signal === undefined ? {} : { signal }) };
  for await (const change of backend.compare(session.ref, before, after, options)) {
    meter.count(change);
    judge.see(change);
  }
  const { findings } = judge.verdict(countFiles(tree, judge.filesToCount()));
  const verdict = verdictOf([...findings, ...problemFindings(problems)]);
  return { verdict, changes: meter.changes() };
}

/** Inside `session.run`. */
async function actOn(
  session: WorkspaceSession,
  judged: {
    readonly row: CallRow;
    readonly verdict: Verdict;
    readonly changes: CallChanges;
    readonly act: JudgeOptions['act'];
    readonly signal: AbortSignal | undefined;
  },
): Promise<Judgement> {
  const { row, verdict, changes, act } = judged;
  const { call } = row;
  if (row.changes === null) {
    session.decide({ type: 'measure-call', call, ...changes }, 'process-crash');
  }
  if (verdict.action === 'none') return { ...NOTHING_FOUND, call, changes, rolledBack: null };
  if (act === 'hold' && verdict.action === 'rollback') {
    return { ...verdict, call, changes, rolledBack: null, message: null };
  }
  const { outcome, rolledBack } = await rollBackIfDemanded(session, judged);
  const judgement = keptJudgement(verdict, rolledBack);
  if (judgement !== null) {
    session.decide({ type: 'judge-call', call, ...judgement }, 'process-crash');
  }
  return { ...verdict, call, changes, rolledBack, message: verdictForAgent(verdict, outcome) };
}

async function rollBackIfDemanded(
  session: WorkspaceSession,
  judged: {
    readonly row: CallRow;
    readonly verdict: Verdict;
    readonly signal: AbortSignal | undefined;
  },
): Promise<{ readonly outcome: RollbackOutcome | null; readonly rolledBack: TurnResult | null }> {
  const { row, verdict, signal } = judged;
  if (verdict.action !== 'rollback') return { outcome: null, rolledBack: null };
  if (row.snapshot === null || !isAlone(session, row)) {
    return { outcome: 'not-alone', rolledBack: null };
  }
  try {
    const rolledBack = await turnTree(session, {
      ...{ kind: 'rollback', target: row.snapshot, cursor: null, paths: [] },
      // The agent lives in the tree: its directories must stay what they are.
      mode: 'in-place',
      ...(signal === undefined ? {} : { signal }),
    });
    return { outcome: 'done', rolledBack };
  } catch (error) {
    // Told to the agent and the person as what it is; the verdict itself must not be lost with it.
    if (!(error instanceof GhostsnapError) || error.code === 'INTERRUPTED') throw error;
    return { outcome: 'failed', rolledBack: null };
  }
}

/** Nobody else's work would go with a rollback: no call beside it, and none since. */
function isAlone(session: WorkspaceSession, row: CallRow): boolean {
  const { catalog } = session.ports;
  const hasOverlap = row.overlaps.some(
    (other) => catalog.call(session.ref.id, other)?.readOnly === false,
  );
  const others = session.state.calls.filter(({ call }) => call !== row.call);
  const isAnyRunning = others.some(
    ({ call }) => catalog.call(session.ref.id, call)?.readOnly === false,
  );
  return !hasOverlap && !isAnyRunning && stateAfterCall(session, row) === 'live';
}

function keptJudgement(verdict: Verdict, rolledBack: TurnResult | null): CallJudgement | null {
  if (verdict.action === 'none') return null;
  const findings = verdict.findings
    .slice(0, POLICY_FINDINGS_KEPT_MAX)
    .map(({ rule, action, message }) => ({
      ...{ rule, action, message: keptLine(message, NAME_BYTES_MAX) },
    }));
  return { action: verdict.action, findings, operation: rolledBack?.operation ?? null };
}

function problemFindings(problems: readonly string[]): readonly Finding[] {
  const [first] = problems;
  if (first === undefined) return [];
  const message = `The policy in ${WORKSPACE_POLICY_FILE} is not in force: ${first}`;
  return [{ rule: 'policy-file', source: 'workspace', action: 'warn', message, paths: [] }];
}

/** null: there is none. One that is not a plain file, or too long, is text that no schema accepts. */
export function readPolicyFile(tree: TreeReader): string | null {
  const path = WORKSPACE_POLICY_FILE as RawPath;
  const entry = tree.lookup(path);
  if (entry === null) return null;
  if (entry.type !== 'file' || entry.sizeBytes > POLICY_FILE_BYTES_MAX) return '';
  const parts: Uint8Array[] = [];
  for (let offset = 0; offset < entry.sizeBytes; ) {
    const part = tree.readFile(path, offset, entry.sizeBytes - offset);
    if (part.length === 0) break;
    parts.push(Uint8Array.from(part));
    offset += part.length;
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Regular files of a tree, counted until there are `enough`. */
export function countFiles(tree: TreeReader, enough: number): number {
  const waiting: RawPath[] = enough > 0 ? [ROOT_PATH] : [];
  let files = 0;
  for (let path = waiting.pop(); path !== undefined && files < enough; path = waiting.pop()) {
    for (const { name, type } of tree.readDirectory(path)) {
      if (type === 'file') files += 1;
      if (type === 'dir') waiting.push(joinRaw(path, name as RawName));
    }
  }
  return files;
}
