/**
 * What a policy is: a list of rules on what one tool call did, and what follows.
 *
 * Rules do not see each other and each can only object: a list with a rule more never judges milder.
 * That is why a workspace may bring rules of its own although an agent can write them; only the person's
 * configuration takes a rule away. Plain values: the edge parses them, `rule-watch.ts` evaluates them.
 */

/**
 * From mild to severe. note: in the log. warn: also told to the agent. ask: also a person is asked to
 * look, and the agent is told to wait. rollback: the workspace goes back at once, the agent is told why.
 */
export const POLICY_ACTIONS = ['note', 'warn', 'ask', 'rollback'] as const;
export type PolicyAction = (typeof POLICY_ACTIONS)[number];

/** Where a rule comes from: built in, the person's configuration, the workspace's ghostsnap.json. */
export type RuleSource = 'default' | 'user' | 'workspace';

export const PROTECTED_CHANGES = ['added', 'deleted', 'modified', 'metadata'] as const;
export type ProtectedChange = (typeof PROTECTED_CHANGES)[number];

export const MODE_FLAGS = ['setuid', 'setgid', 'world-writable', 'executable', 'any'] as const;
export type ModeFlag = (typeof MODE_FLAGS)[number];

interface CountingRule {
  /** Path patterns that do not count: what a build makes again. */
  readonly except: readonly string[];
  readonly action: PolicyAction;
}

/** A command that is recognised as one that destroys is spoken of before it runs. */
export interface CommandRule {
  readonly rule: 'destructive-commands';
  /** Commands, as they are recognised, that are not spoken of. */
  readonly except: readonly string[];
  /** note: not before it runs. warn: the agent is told. ask: a person is asked first. */
  readonly action: 'note' | 'warn' | 'ask';
}

export type PolicyRule = ChangeRule | CommandRule;

/** On what a call did. */
export type ChangeRule =
  /** More than `max` files deleted; a file that was moved does not count. */
  | ({ readonly rule: 'deleted-files'; readonly max: number } & CountingRule)
  /** More than `maxPercent` of all files, and at least `minFiles` of them, deleted. */
  | ({
      readonly rule: 'deleted-share';
      readonly maxPercent: number;
      readonly minFiles: number;
    } & CountingRule)
  /** Files with more than `maxBytes` in all deleted. */
  | ({ readonly rule: 'deleted-bytes'; readonly maxBytes: number } & CountingRule)
  /** Files with more than `maxBytes` in all made or rewritten. */
  | ({ readonly rule: 'written-bytes'; readonly maxBytes: number } & CountingRule)
  /** One of `changes` happened to a path that matches one of `paths`. */
  | {
      readonly rule: 'protected-paths';
      readonly paths: readonly string[];
      readonly changes: readonly ProtectedChange[];
      readonly action: PolicyAction;
    }
  /** A file or directory gained one of these permissions ('any': its permissions changed at all). */
  | ({ readonly rule: 'modes'; readonly flags: readonly ModeFlag[] } & CountingRule)
  /** A path that was there has another owner or group. */
  | ({ readonly rule: 'owners' } & CountingRule);

export type RuleName = PolicyRule['rule'];

export interface SourcedRule {
  readonly rule: PolicyRule;
  readonly source: RuleSource;
}

/** What one rule has against a call. */
export interface Finding {
  /** 'policy-file': the workspace's file itself cannot be used. */
  readonly rule: RuleName | 'policy-file';
  readonly source: RuleSource;
  readonly action: PolicyAction;
  /** One sentence that the agent and the person can act on. */
  readonly message: string;
  /** Display forms of some of the paths, at most POLICY_PATHS_NAMED_MAX. */
  readonly paths: readonly string[];
}

/** What a policy says of a call; the strongest action counts. */
export interface Verdict {
  readonly action: PolicyAction | 'none';
  readonly findings: readonly Finding[];
}

/** Directories that a build or an installation makes again. */
const REMADE = [
  ...['node_modules', 'dist', 'build', 'target', '.venv', 'venv', '__pycache__', '.cache'],
  ...['.next', '.gradle', '.tox', 'coverage'],
];

/** In force where nobody said anything else. Nothing here asks or rolls back: that is for people to choose. */
export const DEFAULT_RULES: readonly PolicyRule[] = [
  { rule: 'deleted-files', max: 100, except: [...REMADE, '.git'], action: 'warn' },
  { rule: 'deleted-share', maxPercent: 50, minFiles: 10, except: REMADE, action: 'warn' },
  {
    rule: 'protected-paths',
    paths: ['/.git', '/.git/HEAD', '/.git/config', '.env*'],
    changes: ['deleted'],
    action: 'warn',
  },
  { rule: 'protected-paths', paths: ['.env*'], changes: ['modified'], action: 'note' },
  {
    rule: 'protected-paths',
    paths: ['/ghostsnap.json'],
    changes: ['added', 'modified', 'deleted'],
    action: 'warn',
  },
  { rule: 'modes', flags: ['setuid', 'setgid', 'world-writable'], except: REMADE, action: 'warn' },
  { rule: 'owners', except: REMADE, action: 'note' },
  // Agents write most of their files by it.
  { rule: 'destructive-commands', except: ['>'], action: 'warn' },
];

export function severityOf(action: PolicyAction | 'none'): number {
  return action === 'none' ? -1 : POLICY_ACTIONS.indexOf(action);
}

export function strongestAction(findings: readonly Finding[]): PolicyAction | 'none' {
  return findings.reduce<PolicyAction | 'none'>(
    (strongest, { action }) => (severityOf(action) > severityOf(strongest) ? action : strongest),
    'none',
  );
}
