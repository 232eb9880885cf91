/** The Claude Agent SDK itself with the program it brings, and a scripted endpoint on loopback. */
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { protectOptions } from '../../../src/agent/sdk/claude-agent-sdk.ts';
import { installedHarnesses } from '../../e2e/run-harness.ts';
import { openStore } from '../open-store.ts';
import { type ScriptedTurn, scriptedMessagesApi } from './scripted-messages-api.ts';

/** What is used of the SDK, which is not a dependency: it brings a program of several hundred megabytes. */
interface Options {
  readonly cwd: string;
  readonly allowedTools: readonly string[];
  readonly settingSources: readonly string[];
  readonly hooks?: Readonly<
    Record<
      string,
      readonly {
        readonly hooks: readonly ((input: unknown, toolUseId?: string) => Promise<object>)[];
      }[]
    >
  >;
}

interface ClaudeAgentSdk {
  query(request: {
    readonly prompt: string;
    readonly options: Options & { readonly env: Readonly<Record<string, string | undefined>> };
  }): AsyncIterable<{ readonly type: string }>;
}

const { query } = (await import(
  join(installedHarnesses('claude'), 'node_modules/@anthropic-ai/claude-agent-sdk/sdk.mjs')
)) as ClaudeAgentSdk;

/** Runs the script in `cwd`, with a home of its own. @returns the bodies that the model was sent */
async function runScript(
  turns: readonly ScriptedTurn[],
  options: Options,
): Promise<readonly string[]> {
  await using api = await scriptedMessagesApi(turns);
  const home = mkdtempSync(join(tmpdir(), 'ghostsnap-claude-'));
  const env = {
    ...{ PATH: process.env.PATH, HOME: home, CLAUDE_CONFIG_DIR: join(home, 'claude') },
    ...{ ANTHROPIC_BASE_URL: api.url, ANTHROPIC_API_KEY: 'dummy' },
    ...{ DISABLE_TELEMETRY: '1', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' },
  };
  try {
    for await (const message of query({ prompt: 'go', options: { ...options, env } })) {
      if (message.type === 'result') break;
    }
    return [...api.requests];
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

it('takes a snapshot before each tool of Claude Code, and the handle takes calls back', async () => {
  await using store = await openStore();
  const notes = join(store.path, 'notes.txt');
  const seen: string[] = [];
  const { options, handle } = protectOptions(
    {
      ...{ cwd: store.path, allowedTools: ['Bash', 'Read'], settingSources: [] },
      hooks: {
        PreToolUse: [
          {
            hooks: [
              async (_, toolUseId) => {
                // The caller's own hooks still run.
                seen.push(toolUseId ?? '');
                return {};
              },
            ],
          },
        ],
      },
    } satisfies Options,
    { workspace: store.workspace },
  );
  await runScript(
    [
      { id: 'toolu_1', name: 'Bash', input: { command: 'echo changed > notes.txt' } },
      { id: 'toolu_2', name: 'Read', input: { file_path: notes } },
      { id: 'toolu_3', name: 'Bash', input: { command: 'rm notes.txt && false' } },
      // Claude Code denies this one by itself: nobody reports its end.
      { id: 'toolu_4', name: 'Bash', input: { command: 'rm -rf *' } },
      { text: 'done' },
    ],
    options,
  );
  expect(() => readFileSync(notes)).toThrow('ENOENT');
  expect(seen).toEqual(['toolu_1', 'toolu_2', 'toolu_3', 'toolu_4']);
  await handle.close();
  const calls = handle.calls().map(({ key, tool, outcome }) => [key, tool, outcome]);
  expect(calls).toEqual([
    ['toolu_4', 'Bash', 'unknown'],
    ['toolu_3', 'Bash', 'failed'],
    ['toolu_2', 'Read', 'ok'],
    ['toolu_1', 'Bash', 'ok'],
  ]);
  await handle.undo('toolu_3');
  expect(readFileSync(notes, 'utf8')).toBe('changed\n');
  await handle.undo('toolu_1');
  expect(readFileSync(notes, 'utf8')).toBe('as it was\n');
});

it('blocks a tool whose snapshot fails, and tells the model why', async () => {
  await using store = await openStore();
  const { options, handle } = protectOptions(
    { cwd: tmpdir(), allowedTools: ['Bash'], settingSources: [] } satisfies Options,
    { workspace: store.workspace },
  );
  const trace = join(store.path, '..', 'ran');
  renameSync(store.path, `${store.path}-moved`);
  const command = `touch ${trace}`;
  const requests = await runScript(
    [{ id: 'toolu_1', name: 'Bash', input: { command } }, { text: 'done' }],
    options,
  );
  expect(requests.at(-1)).toContain('WORKSPACE_GONE');
  expect(() => readFileSync(trace)).toThrow('ENOENT');
  renameSync(`${store.path}-moved`, store.path);
  await handle.close();
});
