/** The real Gemini CLI, told what to do by a scripted model: every tool call has its snapshot. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeHookWorld } from '../daemon/hook-world.ts';
import { installedHarnesses, runHarness, writeHomeFile } from './run-harness.ts';
import { startGemini } from './scripted-model.ts';
import {
  expectOneWarning,
  expectStory,
  fillProject,
  storyCommands,
} from './session-expectations.ts';

const shell = (command: string) => ({
  tool: 'run_shell_command',
  input: { command, description: 'a step' },
});

it('Gemini CLI: each call is preceded by its snapshot, and one command goes back', async () => {
  await using world = await makeHookWorld();
  const before = fillProject(world.path);
  const file = join(world.path, 'new.txt');
  const { remove, one, two } = storyCommands(world);
  await using model = await startGemini({
    subagentWord: 'SUBAGENT-WORK',
    main: [
      [shell(remove)],
      [{ tool: 'write_file', input: { file_path: file, content: 'hello\n' } }],
      [shell('exit 3')],
      [shell(one), shell(two)],
      [{ tool: 'invoke_agent', input: { agent_name: 'generalist', prompt: 'SUBAGENT-WORK' } }],
      [{ tool: 'read_file', input: { file_path: file } }],
    ],
    subagent: [
      [shell(`echo sub > ${world.path}/from-subagent`)],
      [{ tool: 'complete_task', input: { response: 'done' } }],
    ],
  });
  writeHomeFile(world, '.gemini/settings.json', {
    security: { auth: { selectedType: 'gemini-api-key' } },
    privacy: { usageStatisticsEnabled: false },
    general: { enableAutoUpdate: false },
  });
  const connected = await world.program(['hook', 'install', 'gemini-cli', '--yes']);
  expect(connected.status).toBe(0);
  const gemini = join(installedHarnesses(), 'node_modules/.bin/gemini');
  const run = await runHarness(
    world,
    [
      ...[process.execPath, gemini, '--approval-mode', 'yolo', '-m', 'gemini-2.5-flash'],
      ...['-p', 'please tidy'],
    ],
    {
      GEMINI_API_KEY: 'dummy',
      GOOGLE_GEMINI_BASE_URL: model.url,
      GEMINI_CLI_TRUST_WORKSPACE: 'true',
    },
  );
  expect(run.status, run.output).toBe(0);
  expect(run.output).toContain('done');
  expectOneWarning(run.output);
  await expectStory(world, before, {
    ...{ shell: 'run_shell_command', write: 'write_file', read: 'read_file' },
    // Gemini CLI's hooks say nothing of which agent asks.
    ...{ subagentDid: 'from-subagent', hasSubSession: false },
  });
}, 300_000);
