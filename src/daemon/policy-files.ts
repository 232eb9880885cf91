/**
 * The policy in force: the person's configuration and the workspace's own file, checked and combined.
 * For a service the operator is the person, and their rules stand in the service's configuration.
 *
 * A wrong configuration of the person is an error (BAD_CONFIG): they can correct it. A wrong file in the
 * workspace is a problem that is told and judged, because the agent may have written it. The schema library
 * is loaded when there is something to check, never for a workspace without either file.
 */
import path from 'node:path';
import { readTextIfThere } from '../backend/if-there.ts';
import { GhostsnapError } from '../core/errors.ts';
import { POLICY_FILE_BYTES_MAX } from '../core/limits.ts';
import { combineRules, NO_USER_POLICY, type UserPolicy } from '../core/policy/combine-rules.ts';
import type { PolicyRule } from '../core/policy/policy-rule.ts';
import type { PolicyInForce, PolicySource } from '../engine/judge-call.ts';
import type { Home } from './home.ts';

export function policySource(home: Home): PolicySource {
  return {
    rulesWith: async (workspaceFile) =>
      await rulesInForce(await loadUserPolicy(home), workspaceFile),
  };
}

/** Whatever a workspace's file says, the judgement gets no milder than by `user` alone. */
export async function rulesInForce(
  user: UserPolicy,
  workspaceFile: string | null,
): Promise<PolicyInForce> {
  if (workspaceFile === null || user.workspaceFile === 'ignore') {
    return { rules: combineRules(user, []), problems: [] };
  }
  const parsed = await parseWorkspacePolicy(workspaceFile);
  return { rules: combineRules(user, parsed.rules), problems: parsed.problems };
}

/** @throws GhostsnapError BAD_CONFIG */
export async function loadUserPolicy(home: Home): Promise<UserPolicy> {
  const file = path.join(home.config, 'config.json');
  const given = userPart(file);
  if (given === undefined) return NO_USER_POLICY;
  const { userPolicySchema } = await import('./policy-schema.ts');
  const parsed = userPolicySchema.safeParse(given);
  if (parsed.success) return parsed.data as UserPolicy;
  throw badConfig(file, problemsOf(parsed.error.issues, 'policy'));
}

/** Never throws: what is wrong is in `problems`, and then there are no rules. */
export async function parseWorkspacePolicy(
  text: string,
): Promise<{ readonly rules: readonly PolicyRule[]; readonly problems: readonly string[] }> {
  if (text.length > POLICY_FILE_BYTES_MAX) return { rules: [], problems: ['it is too long.'] };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { rules: [], problems: [`it is not JSON (${message}).`] };
  }
  const { workspacePolicySchema } = await import('./policy-schema.ts');
  const parsed = workspacePolicySchema.safeParse(value);
  if (parsed.success) return { rules: parsed.data.policy.rules, problems: [] };
  return { rules: [], problems: problemsOf(parsed.error.issues, '') };
}

const PROBLEMS_MAX = 8;

function problemsOf(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
  prefix: string,
): readonly string[] {
  return issues.slice(0, PROBLEMS_MAX).map((issue) => {
    const at = [prefix, ...issue.path.map(String)].filter((part) => part !== '').join('.');
    return `${at === '' ? 'the file' : at}: ${issue.message}.`;
  });
}

function userPart(file: string): unknown {
  const text = readTextIfThere(file, 'BAD_CONFIG');
  if (text === null) return undefined;
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw badConfig(file, [error instanceof Error ? error.message : String(error)]);
  }
  if (typeof config !== 'object' || config === null || !('policy' in config)) return undefined;
  return config.policy;
}

function badConfig(file: string, errors: readonly string[]): GhostsnapError {
  return new GhostsnapError(
    'BAD_CONFIG',
    `The configuration ${file} cannot be used: ${errors.join('; ')}`,
    {
      hint: 'Correct the file, or move it aside to use the defaults.',
      data: { file, errors: [...errors] },
    },
  );
}
