/** `ghostsnap policy check|explain`: whether the policy can be used, and what it says of a call. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { GhostsnapError } from '../../core/errors.ts';
import { adviseOn } from '../../core/policy/destructive-command.ts';
import type { Finding, PolicyRule, SourcedRule } from '../../core/policy/policy-rule.ts';
import { findingLine } from '../../core/policy/verdict-text.ts';
import type { CallInfo } from '../../engine/call-results.ts';
import { type Judgement, WORKSPACE_POLICY_FILE } from '../../engine/judge-call.ts';
import { commandOf, inputLine } from '../call-line.ts';
import {
  type CliContext,
  type CommandModule,
  jsonOption,
  type WorkspaceOptions,
  withWorkspace,
  workspaceOption,
} from '../cli-context.ts';
import type { Output } from '../output.ts';
import { printableLine } from '../printable-text.ts';
import { resolveCall } from '../resolve-call.ts';

const EXAMPLES = `
Rules say what one tool call of an agent may do; what they find is noted, told to
the agent, asked about, or rolled back at once. Rules come built in, from "policy"
in config.json, and from ${WORKSPACE_POLICY_FILE} in the workspace, which can only add some.

Examples:
  $ ghostsnap policy check
  $ ghostsnap policy check ${WORKSPACE_POLICY_FILE}
  $ ghostsnap policy explain @`;

export const command: CommandModule = {
  register(program, context) {
    program.addHelpText('after', EXAMPLES).usage('COMMAND [ARGUMENT...]').helpCommand(false);
    workspaceOption(jsonOption(program.command('check')))
      .description('Check the policy and print the rules in force.')
      .argument('[file]', `a policy file; ${WORKSPACE_POLICY_FILE} of the workspace by default`)
      .action((file: string | undefined, _: WorkspaceOptions, self: Command) =>
        check(context, file, self.optsWithGlobals<WorkspaceOptions>()),
      );
    workspaceOption(jsonOption(program.command('explain')))
      .description('Say what the policy says of a tool call that was made. Nothing is changed.')
      .argument('[call]', 'id of the call, the beginning of one, or "@" for the last', '@')
      .action((call: string, _: WorkspaceOptions, self: Command) =>
        explain(context, call, self.optsWithGlobals<WorkspaceOptions>()),
      );
  },
};

async function check(
  context: CliContext,
  file: string | undefined,
  options: WorkspaceOptions,
): Promise<void> {
  const { output, environment } = context;
  const { readPolicy } = await context.composition();
  const read = file === undefined ? await ownFile(context, options) : named(context, file);
  const { rules, problems } = await readPolicy({ text: read.text, environment });
  if (options.json === true) {
    output.json({ file: read.text === null ? null : read.file, problems, rules });
  } else {
    for (const rule of rules) output.line(ruleLine(rule, output));
    if (read.text === null) output.note(`There is no ${read.file}`);
  }
  if (problems.length === 0) return;
  throw new GhostsnapError('BAD_CONFIG', `The policy ${read.file} cannot be used.`, {
    hint: problems.join(' '),
    data: { file: read.file, errors: problems },
  });
}

interface PolicyText {
  readonly file: string;
  readonly text: string | null;
}

async function ownFile(context: CliContext, options: WorkspaceOptions): Promise<PolicyText> {
  return await withWorkspace(context, { ...options, readOnly: 'yes' }, async ({ info }) => {
    const file = join(info.path, WORKSPACE_POLICY_FILE);
    return { file, text: existsSync(file) ? readFileSync(file, 'utf8') : null };
  });
}

function named(context: CliContext, name: string): PolicyText {
  const file = resolve(context.environment.cwd, name);
  if (existsSync(file)) return { file, text: readFileSync(file, 'utf8') };
  throw new GhostsnapError('BAD_ARGUMENT', `There is no file ${file}`, {
    hint: 'Name a policy file, or leave it out for the one of the workspace.',
  });
}

async function explain(
  context: CliContext,
  spec: string,
  options: WorkspaceOptions,
): Promise<void> {
  await withWorkspace(context, { ...options, readOnly: 'yes' }, async (workspace, signal) => {
    const call = await resolveCall(workspace, spec);
    const judgement = await workspace.judgeCall(call.call, { act: 'plan', signal });
    const advice = adviseOn(commandOf(call) ?? '');
    if (options.json === true) {
      const { action, findings, changes } = judgement;
      context.output.json({ call: call.call, action, findings, changes, advice });
    } else printJudgement(context.output, call, { judgement, advice });
  });
}

function printJudgement(
  output: Output,
  call: CallInfo,
  said: { readonly judgement: Judgement; readonly advice: ReturnType<typeof adviseOn> },
): void {
  const { judgement, advice } = said;
  const { colors } = output;
  const title = `${colors.yellow(call.call)}  ${colors.cyan(printableLine(call.tool))}`;
  output.line(`${title}  ${printableLine(inputLine(call, null))}`.trimEnd());
  for (const { command, effect } of advice) {
    output.line(`  before: ${printableLine(command)}  ${colors.dim(effect)}`);
  }
  for (const finding of judgement.findings) output.line(`  ${explained(finding)}`);
  if (judgement.findings.length === 0) output.line('  Nothing is found.');
  else output.line(`  What follows: ${colors.bold(judgement.action)}`);
}

function explained(finding: Finding): string {
  return `${findingLine(finding)}  (${finding.action}, ${finding.source})`;
}

/** The longest name of a rule. */
const RULE_COLUMNS = 'destructive-commands'.length;

function ruleLine({ rule, source }: SourcedRule, { colors }: Output): string {
  const limits = printableLine(limitsOf(rule));
  return `${colors.cyan(rule.rule.padEnd(RULE_COLUMNS))} ${rule.action.padEnd(9)} ${limits}  ${colors.dim(source)}`;
}

function limitsOf(rule: PolicyRule): string {
  switch (rule.rule) {
    case 'deleted-files':
      return `more than ${rule.max} files`;
    case 'deleted-share':
      return `more than ${rule.maxPercent} % of all files, and at least ${rule.minFiles}`;
    case 'deleted-bytes':
    case 'written-bytes':
      return `more than ${rule.maxBytes} bytes`;
    case 'protected-paths':
      return `${rule.changes.join(', ')}: ${rule.paths.join(' ')}`;
    case 'modes':
      return rule.flags.join(', ');
    case 'owners':
      return 'another owner';
    case 'destructive-commands':
      return 'before it runs';
  }
}
