import { expect, it } from 'vitest';
import { INSTALLERS } from '../../src/agent/install/installers.ts';

const place = { homeDir: '/home/me', projectDir: '/home/me/p' };

it.each([
  ['codex', {}, '/home/me/.codex/hooks.json'],
  ['codex', { CODEX_HOME: '/elsewhere' }, '/elsewhere/hooks.json'],
  // Relative to where Codex is started: nobody knows where that will be.
  ['codex', { CODEX_HOME: 'elsewhere' }, '/home/me/.codex/hooks.json'],
  ['copilot-cli', { COPILOT_HOME: '/elsewhere' }, '/elsewhere/hooks/ghostsnap-copilot.json'],
  ['claude-code', { CLAUDE_CONFIG_DIR: '/elsewhere' }, '/elsewhere/settings.json'],
  ['gemini-cli', { GEMINI_CLI_HOME: '/elsewhere' }, '/elsewhere/.gemini/settings.json'],
  ['cursor', { CODEX_HOME: '/elsewhere' }, '/home/me/.cursor/hooks.json'],
] as const)('hooks of %s with %j are in %s', (harness, env, file) => {
  expect(INSTALLERS[harness].file('user', { ...place, env })).toBe(file);
});

it('leaves a project its own files, whatever home the harness has', () => {
  const env = { CODEX_HOME: '/elsewhere', COPILOT_HOME: '/elsewhere' };
  const files = (['codex', 'copilot-cli'] as const).map((harness) =>
    INSTALLERS[harness].file('project', { ...place, env }),
  );
  expect(files).toEqual([
    '/home/me/p/.codex/hooks.json',
    '/home/me/p/.github/hooks/ghostsnap-copilot.json',
  ]);
});
