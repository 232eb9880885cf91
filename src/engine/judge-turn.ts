/**
 * What the policy says of going back, before it is done: a rollback can delete as much as a tool can.
 *
 * The same rules on the same kind of changes, from the live tree to the state. Only reads, and takes no lock.
 */
import type { SnapshotId } from '../core/ids.ts';
import { judgeChanges } from '../core/policy/judge-changes.ts';
import type { Verdict } from '../core/policy/policy-rule.ts';
import type { RawPath } from '../core/raw-path.ts';
import { countFiles, type PolicySource, readPolicyFile } from './judge-call.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface JudgedTurn {
  readonly target: SnapshotId;
  /** Empty: the whole tree. */
  readonly paths: readonly RawPath[];
  readonly signal?: AbortSignal;
}

/** @throws GhostsnapError SNAPSHOT_NOT_FOUND, BAD_CONFIG; INTERRUPTED through `signal` */
export async function judgeTurn(
  session: WorkspaceSession,
  source: PolicySource,
  { target, paths, signal }: JudgedTurn,
): Promise<Verdict> {
  const { backend } = session.ports;
  using live = await backend.openTree(session.ref, 'live');
  const { rules } = await source.rulesWith(readPolicyFile(live));
  const judge = judgeChanges(rules);
  const options = { mtimes: false, ...(signal === undefined ? {} : { signal }) };
  const only = paths.length === 0 ? options : { ...options, paths };
  for await (const change of backend.compare(session.ref, 'live', target, only)) judge.see(change);
  return judge.verdict(countFiles(live, judge.filesToCount()));
}
