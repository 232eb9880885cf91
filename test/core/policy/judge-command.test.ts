import { describe, expect, it } from 'vitest';
import { commandIn } from '../../../src/core/command-in.ts';
import { judgeCommand } from '../../../src/core/policy/judge-command.ts';
import {
  type CommandRule,
  DEFAULT_RULES,
  type SourcedRule,
} from '../../../src/core/policy/policy-rule.ts';

const rule = (action: CommandRule['action'], except: readonly string[] = []): SourcedRule => ({
  rule: { rule: 'destructive-commands', action, except },
  source: 'user',
});
const builtIn: readonly SourcedRule[] = DEFAULT_RULES.map((one) => ({
  ...{ rule: one, source: 'default' },
}));

describe('judgeCommand()', () => {
  it.each([
    ['rm -rf src', builtIn, 'warn'],
    ['echo x > file', builtIn, undefined],
    ['ls', [rule('ask')], undefined],
    ['rm -rf src', [rule('ask')], 'ask'],
    ['rm -rf src', [rule('note')], undefined],
    ['rm -rf src', [rule('ask', ['rm -r'])], undefined],
    // A rule more never says less.
    ['rm -rf src', [rule('warn'), rule('ask')], 'ask'],
    ['rm -rf src', [rule('ask', ['rm -r']), rule('warn')], 'warn'],
    ['rm -rf src', [], undefined],
  ] as const)('%s', (line, rules, action) => {
    expect(judgeCommand(line, rules)?.action).toBe(action);
  });
});

it.each([
  [{ command: 'ls' }, 'ls'],
  [{ cmd: ['git', 'clean', 1] }, 'git clean'],
  [{ script: 'x' }, 'x'],
  [{ command: 7, path: 'a' }, null],
  [Object.create({ command: 'inherited' }), null],
  ['ls', null],
  [null, null],
])('commandIn() finds the command line in %j', (input, line) => {
  expect(commandIn(input)).toBe(line);
});
