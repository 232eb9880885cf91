/** The real Codex CLI, told what to do by a scripted model: every tool call has its snapshot. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type HookWorld, makeHookWorld } from '../daemon/hook-world.ts';
import { listCodexHooks, trustCodexHooks } from './codex-app-server.ts';
import { installedHarnesses, runHarness } from './run-harness.ts';
import { type Script, startResponses, type ToolRequest } from './scripted-model.ts';
import { expectStory, fillProject, makeFifo, storyCommands } from './session-expectations.ts';

const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const PATCH = '*** Begin Patch\n*** Add File: new.txt\n+hello\n*** End Patch\n';
const WRONG_PATCH = '*** Begin Patch\n*** Update File: none.txt\n@@\n-a\n+b\n*** End Patch\n';

/** How a model of Codex asks for the same things. */
interface Manner {
  readonly model: string;
  readonly shells: (...commands: readonly string[]) => readonly ToolRequest[];
  readonly patch: (patch: string) => ToolRequest;
  readonly look: (path: string) => ToolRequest;
  readonly agent: (task: string) => ToolRequest;
}

/** The longest that Codex waits for a command before it lets it run on by itself. */
const YIELD = { yield_time_ms: 30_000 };

const plain: Manner = {
  model: 'gpt-5.5',
  shells: (...commands) =>
    commands.map((cmd) => ({ tool: 'exec_command', input: { cmd, ...YIELD } })),
  patch: (patch) => ({ tool: 'apply_patch', input: patch }),
  look: (path) => ({ tool: 'view_image', input: { path } }),
  agent: (message) => ({
    tool: 'multi_agent_v1.spawn_agent',
    input: { message, agent_type: 'default' },
  }),
};

const script = (lines: string): ToolRequest => ({ tool: 'exec', input: lines });

/** A model that writes scripts, whose calls of tools are what counts. */
const codeMode: Manner = {
  model: 'gpt-6-sol',
  shells: (...commands) => {
    const calls = commands.map((cmd) => `tools.exec_command(${JSON.stringify({ cmd, ...YIELD })})`);
    return [script(`text(await Promise.all([${calls.join(', ')}]))`)];
  },
  patch: (patch) =>
    script(
      `try { await tools.apply_patch(${JSON.stringify(patch)}) } catch (e) { text(String(e)) }`,
    ),
  look: (path) => script(`text(await tools.view_image(${JSON.stringify({ path })}))`),
  agent: (message) => ({
    tool: 'collaboration.spawn_agent',
    input: { message, task_name: 'sub', fork_turns: 'none' },
  }),
};

it.each([
  ['by single calls', plain],
  ['by scripts', codeMode],
])(
  'Codex, %s: each call is preceded by its snapshot, and one command goes back',
  async (_, how) => {
    await using world = await makeHookWorld();
    const before = fillProject(world.path);
    const picture = join(world.base, 'seen.png');
    writeFileSync(picture, PICTURE);
    // Nobody waits for a subagent of Codex: the main agent meets it when its first call has ended.
    const fifo = makeFifo(world.base, 'subagent');
    await using model = await startResponses({
      subagentWord: 'SUBAGENT-WORK',
      main: storyOf(world, how, { picture, fifo }),
      subagent: [how.shells('echo sub > from-subagent'), how.shells(`echo > ${fifo}`)],
    });
    writeCodexHome(world, model.url);
    const codex = [join(installedHarnesses('codex'), 'node_modules/.bin/codex')];
    await connect(world, codex);
    const run = await runHarness(
      world,
      [
        ...[...codex, 'exec', '--skip-git-repo-check', '-m', how.model],
        ...['--dangerously-bypass-approvals-and-sandbox', 'please tidy'],
      ],
      { CODEX_TEST_KEY: 'dummy', CODEX_HOME: codexHome(world) },
    );
    expect(run.status, run.output).toBe(0);
    await expectStory(world, before, {
      ...{ shell: 'Bash', write: 'apply_patch', read: 'view_image', seen: 'seen.png' },
      ...{ subagentDid: 'from-subagent', hasSubSession: true },
    });
    const patches = await world.read((workspace) =>
      workspace.listCalls().filter(({ tool }) => tool === 'apply_patch'),
    );
    // Codex does not report a patch that failed: the next call shows that it is over.
    expect(patches.map(({ outcome }) => outcome)).toEqual(['unknown', 'ok']);
    expect(run.output).toContain('done');
  },
  300_000,
);

function storyOf(
  world: HookWorld,
  how: Manner,
  { picture, fifo }: { readonly picture: string; readonly fifo: string },
): Script {
  const { remove, one, two } = storyCommands(world);
  return [
    how.shells(remove),
    [how.patch(PATCH)],
    [how.patch(WRONG_PATCH)],
    how.shells('exit 3'),
    how.shells(one, two),
    [how.agent('SUBAGENT-WORK')],
    how.shells(`cat ${fifo}`),
    [how.look(picture)],
  ];
}

function codexHome({ environment }: HookWorld): string {
  return join(environment.homeDir, 'codex');
}

function writeCodexHome(world: HookWorld, url: string): void {
  const home = codexHome(world);
  mkdirSync(join(home, 'rules'), { recursive: true });
  writeFileSync(
    join(home, 'config.toml'),
    [
      ...['model_provider = "local"', '[model_providers.local]', 'name = "local"'],
      ...[`base_url = "${url}/v1"`, 'wire_api = "responses"', 'env_key = "CODEX_TEST_KEY"', ''],
    ].join('\n'),
  );
  // Without it Codex refuses this command, whatever sandbox it has.
  const rule = 'prefix_rule(pattern=["rm", "-rf"], decision="allow")\n';
  writeFileSync(join(home, 'rules', 'default.rules'), rule);
}

/** Codex runs what a person trusted: ghostsnap tells both states as Codex itself does. */
async function connect(world: HookWorld, codex: readonly string[]): Promise<void> {
  const env = { ...world.environment.env, CODEX_HOME: codexHome(world) };
  const place = { cwd: world.path, env };
  const connected = await world.program(['hook', 'install', 'codex', '--yes'], { env });
  expect(connected.status).toBe(0);
  const trustSeen = async (): Promise<unknown> => {
    const { stdout } = await world.program(['hook', 'status', '--json'], { env });
    const states = JSON.parse(stdout) as readonly { harness: string; trust: { state: string } }[];
    return states.find(({ harness }) => harness === 'codex')?.trust.state;
  };
  const hooks = await listCodexHooks(codex, place);
  expect(new Set(hooks.map(({ trustStatus }) => trustStatus))).toEqual(new Set(['untrusted']));
  expect(await trustSeen()).toBe('untrusted');
  await trustCodexHooks(codex, place, hooks.slice(1));
  expect(await trustSeen()).toBe('untrusted');
  await trustCodexHooks(codex, place, hooks);
  expect(await trustSeen()).toBe('enabled');
}
