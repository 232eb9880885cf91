import { expect, it } from 'vitest';
import type { HarnessName } from '../../src/agent/harness/harness.ts';
import { hookTrust } from '../../src/agent/install/hook-trust.ts';
import type { InstallScope } from '../../src/agent/install/installer.ts';

const place = { homeDir: '/home/me', projectDir: '/home/me/p', env: {} };
const codexHooks = '/home/me/.codex/hooks.json';
const codexConfig = '/home/me/.codex/config.toml';
const codexCommand = '/x/ghostsnap-hook.sh codex PreToolUse';
const ours = { type: 'command', command: codexCommand, timeout: 2 };
/** What Codex 0.169.0 itself says of this hook. */
const codexHash = 'sha256:ddece2a091e0f259e61dafea9d3f18078ca3b9ba0b357303f969493bb8e6318d';
/** Ours after another one. */
const hooks = JSON.stringify({
  hooks: {
    PreToolUse: [
      { matcher: 'Bash', hooks: [{ type: 'command', command: 'other' }] },
      { matcher: '*', hooks: [ours] },
    ],
  },
});
const state = (file: string, hash = codexHash, at = '1:0'): string =>
  `[other]\n[hooks.state."${file}:pre_tool_use:${at}"]\ntrusted_hash = "${hash}"\n`;
const codexFiles = (config: string) => ({ [codexHooks]: hooks, [codexConfig]: config });
const trustOn = JSON.stringify({ security: { folderTrust: { enabled: true } } });
const copilotConfig = '/home/me/.copilot/config.json';
const geminiUser = '/home/me/.gemini/settings.json';
const folders = '/home/me/.gemini/trustedFolders.json';

type Case = [HarnessName, InstallScope, Record<string, string>, string | undefined];

it.each<Case>([
  ['cursor', 'user', {}, undefined],
  ['claude-code', 'user', {}, 'enabled'],
  [
    'claude-code',
    'user',
    { '/home/me/p/.claude/settings.local.json': '{"disableAllHooks":true}' },
    'disabled',
  ],
  ['claude-code', 'user', { '/home/me/.claude/settings.json': '{broken' }, 'enabled'],
  ['claude-code', 'project', {}, 'untrusted'],
  [
    'claude-code',
    'project',
    { '/home/me/.claude.json': '{"projects":{"/home/me/p":{"hasTrustDialogAccepted":true}}}' },
    'enabled',
  ],
  ['codex', 'user', codexFiles(''), 'untrusted'],
  ['codex', 'user', codexFiles(state(codexHooks)), 'enabled'],
  ['codex', 'user', codexFiles(state('/elsewhere/hooks.json')), 'untrusted'],
  // The other hook's trust is not ours, and neither is that in what our hook was before.
  ['codex', 'user', codexFiles(state(codexHooks, codexHash, '0:0')), 'untrusted'],
  ['codex', 'user', codexFiles(state(codexHooks, 'sha256:00')), 'untrusted'],
  ['codex', 'user', codexFiles(`${state(codexHooks)}enabled = false\n`), 'disabled'],
  ['codex', 'user', codexFiles(`[features]\nhooks = false\n${state(codexHooks)}`), 'disabled'],
  ['codex', 'project', codexFiles(state(codexHooks)), 'untrusted'],
  [
    'codex',
    'project',
    codexFiles(`${state(codexHooks)}[projects."/home/me/p"]\ntrust_level = "trusted"\n`),
    'enabled',
  ],
  ['copilot-cli', 'user', {}, 'enabled'],
  ['copilot-cli', 'user', { '/any': '{"disableAllHooks":true}' }, 'disabled'],
  ['copilot-cli', 'project', {}, 'untrusted'],
  [
    'copilot-cli',
    'project',
    { [copilotConfig]: '{"trustedFolders":["/home/me/p2"]}' },
    'untrusted',
  ],
  ['copilot-cli', 'project', { [copilotConfig]: '{"trustedFolders":["/home/me"]}' }, 'enabled'],
  ['gemini-cli', 'user', {}, 'enabled'],
  ['gemini-cli', 'user', { [geminiUser]: '{"hooksConfig":{"enabled":false}}' }, 'disabled'],
  [
    'gemini-cli',
    'user',
    { [geminiUser]: '// mine\n{"hooksConfig":{"disabled":["ghostsnap"]}}' },
    'disabled',
  ],
  ['gemini-cli', 'project', {}, 'enabled'],
  ['gemini-cli', 'project', { [geminiUser]: trustOn }, 'untrusted'],
  [
    'gemini-cli',
    'project',
    { [geminiUser]: trustOn, [folders]: '{"/home/me":"TRUST_FOLDER"}' },
    'enabled',
  ],
  [
    'gemini-cli',
    'project',
    { [geminiUser]: trustOn, [folders]: '{"/home/me/other":"TRUST_PARENT"}' },
    'enabled',
  ],
  // The nearest one decides.
  [
    'gemini-cli',
    'project',
    { [geminiUser]: trustOn, [folders]: '{"/home/me":"TRUST_FOLDER","/home/me/p":"DO_NOT_TRUST"}' },
    'untrusted',
  ],
])('%s (%s) with %j is %s', (harness, scope, files, expected) => {
  const file = harness === 'codex' ? codexHooks : '/any';
  const trust = hookTrust(harness, { place, scope, file, read: (name) => files[name] ?? null });
  expect(trust?.state).toBe(expected);
  expect(trust?.why === null).toBe(expected === 'enabled');
});
