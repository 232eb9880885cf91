import { expect, it } from 'vitest';
import type { HarnessName } from '../../src/agent/harness/harness.ts';
import { hookTrust } from '../../src/agent/install/hook-trust.ts';
import type { InstallScope } from '../../src/agent/install/installer.ts';

const place = { homeDir: '/home/me', projectDir: '/home/me/p', env: {} };
const codexHooks = '/home/me/.codex/hooks.json';
const state = (file: string): string =>
  `[other]\n[hooks.state."${file}:pre_tool_use:0:0"]\ntrusted_hash = "sha256:00"\n`;
const trustOn = JSON.stringify({ security: { folderTrust: { enabled: true } } });
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
  ['codex', 'user', {}, 'untrusted'],
  ['codex', 'user', { '/home/me/.codex/config.toml': state(codexHooks) }, 'enabled'],
  ['codex', 'user', { '/home/me/.codex/config.toml': state('/elsewhere/hooks.json') }, 'untrusted'],
  [
    'codex',
    'user',
    { '/home/me/.codex/config.toml': `[features]\nhooks = false\n${state(codexHooks)}` },
    'disabled',
  ],
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
