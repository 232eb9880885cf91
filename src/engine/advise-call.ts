/**
 * What the policy says of a call that is about to run. Advice, or a question to the person.
 *
 * The rules of the workspace's own file count as they are before the call. A command that is not
 * recognised costs nothing: no tree is opened for it.
 */

import { commandIn } from '../core/command-in.ts';
import { adviseOn } from '../core/policy/destructive-command.ts';
import { commandVerdictText, judgeCommand } from '../core/policy/judge-command.ts';
import { type PolicySource, readPolicyFile } from './judge-call.ts';
import { requireCall } from './tool-calls.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface CallAdvice {
  /** 'warn': the agent is told. 'ask': the call waits for a person's yes. */
  readonly action: 'warn' | 'ask';
  readonly message: string;
}

/** @throws GhostsnapError CALL_NOT_FOUND; BAD_CONFIG; what opening a tree throws */
export async function adviseCall(
  session: WorkspaceSession,
  source: PolicySource,
  call: { readonly call: string; readonly input: unknown },
): Promise<CallAdvice | null> {
  const line = commandIn(call.input);
  if (line === null || adviseOn(line).length === 0) return null;
  const { snapshot } = requireCall(session, call.call);
  using tree = await session.ports.backend.openTree(session.ref, snapshot ?? 'live');
  const { rules } = await source.rulesWith(readPolicyFile(tree));
  const verdict = judgeCommand(line, rules);
  return verdict === null ? null : { action: verdict.action, message: commandVerdictText(verdict) };
}
