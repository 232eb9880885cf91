/** The real Copilot CLI without an account, told what to do by a scripted model of the person's own. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeHookWorld } from '../daemon/hook-world.ts';
import { installedHarnesses, runHarness } from './run-harness.ts';
import { startOpenAi } from './scripted-model.ts';
import { expectStory, fillProject, storyCommands } from './session-expectations.ts';

const shell = (command: string) => ({ tool: 'bash', input: { command, description: 'a step' } });

it('Copilot CLI: each call is preceded by its snapshot, and one command goes back', async () => {
  await using world = await makeHookWorld();
  const before = fillProject(world.path);
  const file = join(world.path, 'new.txt');
  const missing = join(world.path, 'none.txt');
  const { remove, one, two } = storyCommands(world);
  await using model = await startOpenAi({
    subagentWord: 'SUBAGENT-WORK',
    main: [
      [shell(remove)],
      [{ tool: 'create', input: { path: file, file_text: 'hello\n' } }],
      [shell('exit 3')],
      [{ tool: 'edit', input: { path: missing, old_str: 'a', new_str: 'b' } }],
      [shell(one), shell(two)],
      [
        {
          tool: 'task',
          input: {
            ...{ description: 'sub', name: 'sub', prompt: 'SUBAGENT-WORK' },
            ...{ agent_type: 'general-purpose', mode: 'sync' },
          },
        },
      ],
      [{ tool: 'view', input: { path: file } }],
    ],
    subagent: [[shell(`echo sub > ${world.path}/from-subagent`)]],
  });
  // Copilot CLI runs VS Code's hooks as well: both are connected, and each call is one all the same.
  const connected = await world.program(['hook', 'install', 'copilot-cli', 'vscode', '--yes']);
  expect(connected.status).toBe(0);
  const copilot = join(installedHarnesses('copilot'), 'node_modules/.bin/copilot');
  const run = await runHarness(
    world,
    [copilot, '--allow-all-tools', '--allow-all-paths', '-p', 'please tidy'],
    {
      ...{ COPILOT_OFFLINE: 'true', COPILOT_AUTO_UPDATE: 'false', COPILOT_MODEL: 'scripted' },
      ...{ COPILOT_PROVIDER_BASE_URL: `${model.url}/v1`, COPILOT_PROVIDER_API_KEY: 'dummy' },
    },
  );
  expect(run.status, run.output).toBe(0);
  expect(run.output).toContain('done');
  // What ghostsnap has to say is for the model: nothing of it is in the terminal.
  expect(run.output).not.toMatch(/ghostsnap(?!-hook-)/);
  await expectStory(world, before, {
    ...{ shell: 'bash', write: 'create', read: 'view' },
    ...{ subagentDid: 'from-subagent', hasSubSession: true },
  });
  const calls = await world.read((workspace) => workspace.listCalls());
  expect(calls.find(({ tool }) => tool === 'edit')?.outcome).toBe('failed');
  expect(calls.length).toBe(9);
}, 300_000);
