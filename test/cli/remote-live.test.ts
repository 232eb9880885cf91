/** A remote command while things happen: followed, interrupted, on a terminal. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Protected } from '../never/protected-workspace.ts';
import { Terminal, type Typed } from './on-terminal.ts';
import { RemoteWorld } from './remote-world.ts';

let world: RemoteWorld;
let terminal: Terminal;

beforeAll(async () => {
  terminal = new Terminal();
  world = await RemoteWorld.make();
});
afterAll(async () => {
  terminal[Symbol.dispose]();
  await world?.[Symbol.asyncDispose]();
});

async function toolCall(key: string): Promise<string> {
  const agent = world.client('agent');
  const about = { workspace: world.workspace, session: 's', harness: 'test', tool: 'Bash', key };
  const { call } = await agent.beginCall(about);
  await agent.endCall({ workspace: world.workspace, call, outcome: 'ok' });
  return call;
}

/** Lines of a child as they come. */
class Lines {
  readonly #seen: string[] = [];
  #wake: () => void = () => undefined;

  readonly read = (child: ChildProcess): void => {
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#seen.push(line);
      this.#wake();
    });
  };

  async until(text: string): Promise<void> {
    while (!this.#seen.some((line) => line.includes(text))) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}

it('log --follow goes on when the service restarts, and ends with an interrupt', async () => {
  const first = await toolCall('before');
  const lines = new Lines();
  let child: ChildProcess | null = null;
  const followed = world.remote(['--server', world.url, '-w', 'project', 'log', '-f'], 'reader', {
    onSpawn: (spawned) => {
      child = spawned;
      lines.read(spawned);
    },
  });
  await lines.until(first);
  // What ended between the list and the first look is in neither, here as on the host.
  await lines.until(await nextCallSeen(lines));
  await world.stop();
  await world.start();
  await lines.until(await toolCall('after the restart'));
  (child as ChildProcess | null)?.kill('SIGINT');
  expect((await followed).status).toBe(0);
});

/** Calls until one of them is told. @returns its id */
async function nextCallSeen(lines: Lines): Promise<string> {
  for (let n = 0; ; n += 1) {
    const call = await toolCall(`while following ${n}`);
    const told = lines.until(call).then(() => true);
    const isTold = await Promise.race([told, toolCall(`and another ${n}`).then(() => false)]);
    if (isTold) return call;
  }
}

it('Ctrl-C during a rollback stops it there, and leaves one whole tree', async () => {
  const many = join(world.path, 'many');
  mkdirSync(many);
  for (let n = 0; n < FILES; n += 1) writeFileSync(join(many, `${n}`), `file ${n}\n`);
  await world.there('snap', '-l', 'many files');
  rmSync(many, { recursive: true });
  const { lastSequence } = await world
    .client('reader')
    .getWorkspace({ workspace: world.workspace });
  const begun = Promise.withResolvers<void>();
  using _watching = watching(world.path, 'many', begun.resolve);
  const args = ['--server', world.url, '-w', 'project', 'rollback', 'many files', '--json'];
  const stopped = world.remote(args, 'operator', {
    onSpawn: (child) => void begun.promise.then(() => child.kill('SIGINT')),
  });
  let ended = '';
  const about = { workspace: world.workspace, after: lastSequence };
  for await (const { type } of world.client('reader').followEvents(about)) {
    if (type === 'turn.completed' || type === 'turn.abandoned') ended = type;
    if (ended !== '') break;
  }
  const { status, stdout, stderr } = await stopped;
  expect([status, stdout]).toEqual([75, '']);
  const { code, hint } = JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '').error;
  expect(code).toBe('INTERRUPTED');
  expect(hint).toContain('log --operations');
  expect(ended).toBe('turn.abandoned');
  expect(existsSync(many) ? readdirSync(many).length : 0).toBe(0);
  await world.there('rollback', 'many files');
  expect(readdirSync(many)).toHaveLength(FILES);
});

const FILES = 1500;

/** Calls back when something of this name is made in the directory. */
function watching(directory: string, name: string, run: () => void): Disposable {
  const watcher = watch(directory, (_, made) => {
    if (made === name) run();
  });
  return { [Symbol.dispose]: () => watcher.close() };
}

it('rollback and undo without a name are chosen on a terminal', async () => {
  await world.there('snap', '-l', 'tests green');
  writeFileSync(join(world.path, 'later'), 'x');
  await world.there('snap', '-l', 'something else');
  const env = { ...world.elsewhere('operator'), GHOSTSNAP_SERVER: world.url };
  const person = { path: '/', environment: { env } } as unknown as Protected;
  const go = async (verb: string, script: Typed): Promise<void> => {
    expect((await terminal.run(person, ['-w', 'project', verb], script)).status).toBe(0);
  };
  await go('rollback', [
    ['Type to search', 'green\r'],
    ['Go back to it?', 'd'],
    ['remove', ''],
    ['Go back to it?', 'g'],
  ]);
  expect(existsSync(join(world.path, 'later'))).toBe(false);
  await go('undo', [
    ['Type to search', '\r'],
    ['Go back to it?', '\r'],
  ]);
  expect(existsSync(join(world.path, 'later'))).toBe(true);
});
