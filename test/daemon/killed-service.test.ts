/**
 * A service that is killed again and again under load: its clients ride through by asking again, and every
 * call that was acknowledged is there, once, with the state before it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import { resolveHome } from '../../src/daemon/home.ts';
import {
  createPool,
  destroyPool,
  type Environment,
  initWorkspace,
  openWorkspace,
} from '../../src/index.ts';

const CHILD = join(import.meta.dirname, 'killed-service-child.ts');
const POOL = 'killed';
const WORKSPACES = 8;
/** 20 by hand: KILLS=20. */
const KILLS = Number(process.env.KILLS ?? 5);
/** Answers between two kills: never at the same point of a call. */
const ANSWERS_A_LIFE = 23;
/** Of one life and its part of the rest, on a machine that is busy. */
const LIFE_MS_MAX = 30_000;

let base = '';
let environment: Environment;
let paths: string[] = [];
let service: ChildProcess | null = null;

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'ghostsnap-killed-'));
  mkdirSync(join(base, 'home'));
  mkdirSync(join(base, 'pool'));
  const env = { ...process.env, GHOSTSNAP_HOME: join(base, 'home') };
  environment = { env, cwd: base, homeDir: base, uid: 0 };
  const options = { name: POOL, environment, directory: join(base, 'pool') };
  const { root } = await createPool({ ...options, sizeBytes: 512 * 2 ** 20 });
  paths = [];
  for (let index = 0; index < WORKSPACES; index += 1) {
    const path = join(root, `w${index}`);
    mkdirSync(path);
    writeFileSync(join(path, 'content'), 'none');
    await initWorkspace({ path, pool: POOL, environment });
    paths.push(path);
  }
});

afterEach(async () => {
  if (service !== null) await kill(service);
  rmSync(join(base, 'home', 'workspaces'), { recursive: true, force: true });
  await destroyPool({ name: POOL, environment, force: 'yes' });
  rmSync(base, { recursive: true, force: true });
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

interface Client {
  readonly path: string;
  /** The number of the call that is asked, and asked again until it is answered. */
  next: number;
  /** By number. */
  readonly acknowledged: string[];
}

/** One life of the service: every client asks, one call after the other, until so many answers have come. */
async function live(clients: readonly Client[], answersMax: number): Promise<void> {
  const child = spawn(process.execPath, [CHILD, base, POOL, ...paths], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  service = child;
  const { stdin, stdout } = child;
  // A write to one that is being killed is lost, as it is to a client.
  stdin?.on('error', () => {});
  const ask = (client: Client, id: number): void => {
    const input = { path: client.path, key: `k${client.next}`, content: `c${client.next}` };
    stdin?.write(`${JSON.stringify({ id, operation: 'call', input })}\n`);
  };
  let answers = 0;
  for await (const line of createInterface({ input: stdout! })) {
    const { id, status, output, problem } = JSON.parse(line);
    if (id === null) {
      clients.forEach(ask);
      continue;
    }
    expect(problem).toBeUndefined();
    expect(status).toBe(200);
    const client = clients[id]!;
    client.acknowledged[client.next] = output;
    client.next += 1;
    answers += 1;
    if (answers === answersMax) await kill(child);
    else ask(client, id);
  }
}

const LONGEST_MS = LIFE_MS_MAX * KILLS;

test('a service killed under load loses and doubles nothing', { timeout: LONGEST_MS }, async () => {
  const clients = paths.map((path): Client => ({ path, next: 0, acknowledged: [] }));
  for (let life = 0; life < KILLS; life += 1) await live(clients, ANSWERS_A_LIFE + life);
  const home = resolveHome(environment);
  expect(verifyCatalog({ file: join(home.data, 'pools', POOL, 'catalog.db') })).toEqual([]);
  for (const { path, acknowledged, next } of clients) {
    const workspace = await openWorkspace({ workspace: path, environment });
    const calls = workspace.listCalls();
    const keys = calls.map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    // The one that was under way may have begun.
    expect(calls.length - next).toBeOneOf([0, 1]);
    for (const [number, call] of acknowledged.entries()) {
      const row = calls.find((found) => found.call === call);
      expect(row).toMatchObject({ key: `k${number}`, outcome: 'ok' });
      const before = number === 0 ? 'none' : `c${number - 1}`;
      const root = join(workspace.info.poolRoot, '.ghostsnap', workspace.info.workspace);
      expect(readFileSync(join(root, row!.snapshot ?? '', 'content'), 'utf8')).toBe(before);
    }
    await workspace.close();
  }
  expect(clients.reduce((sum, { next }) => sum + next, 0)).toBeGreaterThanOrEqual(
    KILLS * ANSWERS_A_LIFE,
  );
});
