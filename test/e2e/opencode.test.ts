/** The real OpenCode, told what to do by a scripted model: every tool call has its snapshot. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeHookWorld } from '../daemon/hook-world.ts';
import { installedHarnesses, runHarness, writeHomeFile } from './run-harness.ts';
import { startOpenAi } from './scripted-model.ts';
import {
  expectOneWarning,
  expectStory,
  fillProject,
  storyCommands,
} from './session-expectations.ts';

const shell = (command: string) => ({ tool: 'bash', input: { command, description: 'a step' } });

it('OpenCode: each call is preceded by its snapshot, and one command goes back', async () => {
  await using world = await makeHookWorld();
  const before = fillProject(world.path);
  const file = join(world.path, 'new.txt');
  const missing = join(world.path, 'none.txt');
  const { remove, one, two } = storyCommands(world);
  await using model = await startOpenAi({
    subagentWord: 'SUBAGENT-WORK',
    main: [
      [shell(remove)],
      [{ tool: 'write', input: { filePath: file, content: 'hello\n' } }],
      [shell('exit 3')],
      [{ tool: 'edit', input: { filePath: missing, oldString: 'a', newString: 'b' } }],
      [shell(one), shell(two)],
      [
        {
          tool: 'task',
          input: { description: 'sub', prompt: 'SUBAGENT-WORK', subagent_type: 'general' },
        },
      ],
      [{ tool: 'read', input: { filePath: file } }],
    ],
    subagent: [[shell(`echo sub > ${world.path}/from-subagent`)]],
  });
  const provider = {
    npm: '@ai-sdk/openai-compatible',
    name: 'local',
    options: { baseURL: `${model.url}/v1`, apiKey: 'dummy' },
    models: { scripted: { name: 'scripted' } },
  };
  writeHomeFile(world, '.config/opencode/opencode.json', {
    ...{ autoupdate: false, share: 'disabled', permission: 'allow' },
    ...{ model: 'local/scripted', small_model: 'local/scripted', provider: { local: provider } },
  });
  const connected = await world.program(['hook', 'install', 'opencode', '--yes']);
  expect(connected.status).toBe(0);
  const opencode = join(installedHarnesses(), 'node_modules/.bin/opencode');
  const run = await runHarness(world, [opencode, 'run', 'please tidy'], {
    OPENCODE_DISABLE_MODELS_FETCH: '1',
    OPENCODE_DISABLE_AUTOUPDATE: '1',
  });
  expect(run.status, run.output).toBe(0);
  expect(run.output).toContain('done');
  expectOneWarning(run.output);
  await expectStory(world, before, {
    ...{ shell: 'bash', write: 'write', read: 'read' },
    ...{ subagentDid: 'from-subagent', hasSubSession: true },
  });
  const failed = await world.read((workspace) =>
    workspace.listCalls().find(({ tool }) => tool === 'edit'),
  );
  expect(failed?.outcome).toBe('failed');
}, 300_000);
