/** The real Claude Code, told what to do by a scripted model: every tool call has its snapshot. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeHookWorld } from '../daemon/hook-world.ts';
import { installedHarnesses, runHarness } from './run-harness.ts';
import { startAnthropic } from './scripted-model.ts';
import { expectStory, fillProject, storyCommands } from './session-expectations.ts';

const shell = (command: string) => ({ tool: 'Bash', input: { command, description: 'a step' } });

it('Claude Code: each call is preceded by its snapshot, and one command goes back', async () => {
  await using world = await makeHookWorld();
  const before = fillProject(world.path);
  const file = join(world.path, 'new.txt');
  const { remove } = storyCommands(world);
  await using model = await startAnthropic({
    subagentWord: 'SUBAGENT-WORK',
    main: [
      [shell(remove)],
      [{ tool: 'Write', input: { file_path: file, content: 'hello\n' } }],
      [shell('exit 3')],
      // One after the other: Claude Code runs nothing beside a tool that may change something.
      [shell(`echo 1 > ${world.path}/p1`), shell(`echo 2 > ${world.path}/p2`)],
      [
        {
          tool: 'Agent',
          input: {
            ...{ description: 'sub', prompt: 'SUBAGENT-WORK', subagent_type: 'general-purpose' },
            run_in_background: false,
          },
        },
      ],
      [{ tool: 'Read', input: { file_path: file } }],
    ],
    subagent: [[shell(`echo sub > ${world.path}/from-subagent`)]],
  });
  const connected = await world.program(['hook', 'install', 'claude-code', '--yes']);
  expect(connected.status).toBe(0);
  const platform = `claude-agent-sdk-${process.platform}-${process.arch}`;
  const claude = join(
    installedHarnesses('claude'),
    'node_modules/@anthropic-ai',
    platform,
    'claude',
  );
  const run = await runHarness(
    world,
    [claude, '-p', 'please tidy', '--permission-mode', 'bypassPermissions'],
    {
      ...{ ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'dummy', IS_SANDBOX: '1' },
      ...{ DISABLE_TELEMETRY: '1', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' },
    },
  );
  expect(run.status, run.output).toBe(0);
  // What ghostsnap has to say is for the model: nothing of it is in the terminal.
  expect(run.output.trim()).toBe('done');
  await expectStory(world, before, {
    ...{ shell: 'Bash', write: 'Write', read: 'Read', runsAtOnce: 'no' },
    ...{ subagentDid: 'from-subagent', hasSubSession: true },
  });
}, 300_000);
