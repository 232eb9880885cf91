/**
 * Where each harness keeps its hooks, and what is put there.
 *
 * Only events that every supported version knows are used: some harnesses pass over a whole file that
 * names one they do not know.
 */
import path from 'node:path';
import { HOOK_TIMEOUT_S } from '../../core/limits.ts';
import type { HarnessName } from '../harness/harness.ts';
import {
  COPILOT_FILE,
  type HarnessInstaller,
  type HookConnection,
  type InstallScope,
} from './installer.ts';
import { connectJson, disconnectJson, type HookEntries, isConnectedJson } from './json-hooks.ts';
import { opencodePlugin } from './opencode-plugin.ts';

/** Codex grants a session's last hook no more, and warns the person at each start when more is asked for. */
const CODEX_LAST_TIMEOUT_S = 3;

type Entries = (connection: HookConnection) => HookEntries;

interface JsonInstaller extends Pick<HarnessInstaller, 'name' | 'signs' | 'notes'> {
  /** Below the home, and below the project. */
  readonly paths: Readonly<Record<InstallScope, string>>;
  /** The harness's own folder in the home ('': all of the home), and the variable that names another one. */
  readonly home?: { readonly folder: string; readonly variable: string };
  readonly entries: Entries;
}

function jsonInstaller(options: JsonInstaller): HarnessInstaller {
  const { name, signs, notes, paths, home, entries } = options;
  return {
    ...{ name, signs, notes },
    file: (scope, { homeDir, projectDir, env }) => {
      if (scope === 'project') return path.join(projectDir, paths.project);
      const moved = home === undefined ? undefined : env[home.variable];
      return home !== undefined && moved !== undefined && path.isAbsolute(moved)
        ? path.join(moved, path.relative(home.folder, paths.user))
        : path.join(homeDir, paths.user);
    },
    connect: (text, connection, file) => connectJson(text, entries(connection), file),
    disconnect: disconnectJson,
    isConnected: isConnectedJson,
  };
}

/** `{matcher, hooks: [{type: 'command', command, timeout}]}`, as Claude Code, Codex and Gemini have it. */
function grouped(
  connection: HookConnection,
  harness: HarnessName,
  options: {
    readonly tools: readonly string[];
    readonly others: readonly string[];
    readonly timeout: number;
    readonly more?: Readonly<Record<string, unknown>>;
  },
): HookEntries {
  const { tools, others, timeout, more = {} } = options;
  const hooks = (event: string): unknown[] => [
    { type: 'command', command: connection.command(harness, event), timeout, ...more },
  ];
  const events = {
    ...Object.fromEntries(tools.map((event) => [event, { matcher: '*', hooks: hooks(event) }])),
    ...Object.fromEntries(others.map((event) => [event, { hooks: hooks(event) }])),
  };
  return { events };
}

const CLAUDE_TOOL_EVENTS = ['PreToolUse', 'PostToolUse', 'PostToolUseFailure'] as const;

const claudeCode = jsonInstaller({
  name: 'claude-code',
  signs: { programs: ['claude'], directories: ['.claude'] },
  paths: { user: '.claude/settings.json', project: '.claude/settings.json' },
  home: { folder: '.claude', variable: 'CLAUDE_CONFIG_DIR' },
  notes: ['Running sessions take up new hooks when they are started again.'],
  entries: (connection) => {
    const entries = grouped(connection, 'claude-code', {
      tools: CLAUDE_TOOL_EVENTS,
      others: ['UserPromptSubmit', 'SessionStart', 'SessionEnd', 'SubagentStop'],
      timeout: HOOK_TIMEOUT_S,
    });
    const { http, onFailure } = connection;
    if (http === null) {
      return onFailure === 'block' ? { events: withOnFailure(entries.events) } : entries;
    }
    // The other events stay commands: they start the daemon, which an HTTP request can not.
    const asHttp = CLAUDE_TOOL_EVENTS.map((event) => [
      event,
      { matcher: '*', hooks: [httpHook(http, event)] },
    ]);
    return { events: { ...entries.events, ...Object.fromEntries(asHttp) } };
  },
});

/** A hook that cannot start, or takes too long, stops the tool. Versions before 2.1.295 pass over the field. */
function withOnFailure(events: HookEntries['events']): HookEntries['events'] {
  const { PreToolUse } = events as { PreToolUse: { hooks: readonly object[] } };
  const hooks = PreToolUse.hooks.map((hook) => ({ ...hook, onFailure: 'block' }));
  return { ...events, PreToolUse: { ...PreToolUse, hooks } };
}

function httpHook(
  { port, token }: NonNullable<HookConnection['http']>,
  event: string,
): Record<string, unknown> {
  return {
    type: 'http',
    url: `http://127.0.0.1:${port}/hook/claude-code/${event}`,
    headers: { Authorization: `Bearer ${token}` },
    timeout: HOOK_TIMEOUT_S,
    // Without it a daemon that is not there lets the tool run.
    ...(event === 'PreToolUse' ? { onFailure: 'block' } : {}),
  };
}

const codex = jsonInstaller({
  name: 'codex',
  signs: { programs: ['codex'], directories: ['.codex'] },
  paths: { user: '.codex/hooks.json', project: '.codex/hooks.json' },
  home: { folder: '.codex', variable: 'CODEX_HOME' },
  notes: ['Codex passes over a new hook until you have trusted it: type /hooks in a session.'],
  entries: (connection) => {
    const entries = grouped(connection, 'codex', {
      tools: ['PreToolUse', 'PostToolUse'],
      others: ['UserPromptSubmit', 'SessionStart', 'SubagentStop'],
      timeout: HOOK_TIMEOUT_S,
    });
    const ended = grouped(connection, 'codex', {
      tools: [],
      others: ['SessionEnd'],
      timeout: CODEX_LAST_TIMEOUT_S,
    });
    return { events: { ...entries.events, ...ended.events } };
  },
});

const geminiCli = jsonInstaller({
  name: 'gemini-cli',
  signs: { programs: ['gemini'], directories: ['.gemini'] },
  paths: { user: '.gemini/settings.json', project: '.gemini/settings.json' },
  home: { folder: '', variable: 'GEMINI_CLI_HOME' },
  notes: ['In a project, Gemini CLI runs hooks only when the folder is trusted.'],
  entries: (connection) =>
    grouped(connection, 'gemini-cli', {
      tools: ['BeforeTool', 'AfterTool'],
      others: ['BeforeAgent', 'SessionStart', 'SessionEnd'],
      timeout: HOOK_TIMEOUT_S * 1000,
      more: { name: 'ghostsnap' },
    }),
});

const cursor = jsonInstaller({
  name: 'cursor',
  signs: { programs: ['cursor', 'cursor-agent'], directories: ['.cursor'] },
  paths: { user: '.cursor/hooks.json', project: '.cursor/hooks.json' },
  notes: ['Cursor may load the hooks of Claude Code as well: a call is then reported by both.'],
  entries: (connection) => ({
    top: { version: 1 },
    events: Object.fromEntries(
      [
        ...['preToolUse', 'postToolUse', 'postToolUseFailure'],
        ...['beforeSubmitPrompt', 'sessionStart', 'sessionEnd'],
      ].map((event) => [
        event,
        { command: connection.command('cursor', event), timeout: HOOK_TIMEOUT_S },
      ]),
    ),
  }),
});

const vscode = jsonInstaller({
  name: 'vscode',
  signs: { programs: ['code'], directories: ['.vscode'] },
  paths: {
    user: '.copilot/hooks/ghostsnap-vscode.json',
    project: '.github/hooks/ghostsnap-vscode.json',
  },
  notes: ['VS Code also reads the hooks of Claude Code: connect one of the two.'],
  entries: (connection) => ({
    events: Object.fromEntries(
      ['PreToolUse', 'PostToolUse', 'UserPromptSubmit', 'SessionStart', 'SubagentStop'].map(
        (event) => [
          event,
          {
            type: 'command',
            command: connection.command('vscode', event),
            timeout: HOOK_TIMEOUT_S,
          },
        ],
      ),
    ),
  }),
});

const copilotCli = jsonInstaller({
  name: 'copilot-cli',
  signs: { programs: ['copilot'], directories: ['.copilot'] },
  paths: {
    user: `.copilot/hooks/${COPILOT_FILE}`,
    project: `.github/hooks/${COPILOT_FILE}`,
  },
  home: { folder: '.copilot', variable: 'COPILOT_HOME' },
  notes: ['In a project, Copilot CLI runs hooks only when the folder is trusted.'],
  entries: (connection) => ({
    top: { version: 1 },
    events: Object.fromEntries(
      [
        ...['preToolUse', 'postToolUse', 'postToolUseFailure'],
        ...['userPromptSubmitted', 'sessionStart', 'sessionEnd', 'subagentStop'],
      ].map((event) => [
        event,
        {
          type: 'command',
          bash: connection.command('copilot-cli', event),
          timeoutSec: HOOK_TIMEOUT_S,
        },
      ]),
    ),
  }),
});

const opencode: HarnessInstaller = {
  name: 'opencode',
  signs: { programs: ['opencode'], directories: ['.config/opencode', '.opencode'] },
  file: (scope, { homeDir, projectDir, env }) => {
    if (scope === 'project') return path.join(projectDir, '.opencode/plugins/ghostsnap.js');
    const config = env.XDG_CONFIG_HOME;
    const base = config !== undefined && path.isAbsolute(config) ? config : `${homeDir}/.config`;
    return path.join(base, 'opencode/plugins/ghostsnap.js');
  },
  connect: (_text, connection) => opencodePlugin(connection),
  disconnect: () => null,
  isConnected: (text) => text.includes('ghostsnap hook install opencode'),
  notes: [],
};

export const INSTALLERS: Readonly<Record<HarnessName, HarnessInstaller>> = {
  'claude-code': claudeCode,
  codex,
  'gemini-cli': geminiCli,
  opencode,
  cursor,
  vscode,
  'copilot-cli': copilotCli,
};
