/** What a service that was killed left is looked at by the next one, in all of its workspaces. */
import { readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PoolGate } from '../../src/locks/pool-gate.ts';
import { ServiceWorld } from './service-world.ts';

const LOOKED = 'looked at what a service that died left';

let world: ServiceWorld;
let paths: string[] = [];

beforeEach(async () => {
  world = await ServiceWorld.make();
  paths = [];
  for (let count = 0; count < 3; count += 1) paths.push((await world.workspace()).path);
  await world.stop();
});

afterEach(async () => {
  await world?.[Symbol.asyncDispose]();
});

/** What a command that comes now is told of what it does not know. */
function gate(): 'settled' | 'unsettled' {
  using found = new PoolGate(join(world.base, 'home', 'pools', 'served', 'locks'));
  const told = found.enter();
  found.leave();
  return told;
}

/** The file that makes it a workspace of this machine. */
function registered(path: string): string {
  const directory = join(world.base, 'home', 'workspaces');
  const files = readdirSync(directory).map((name) => join(directory, name));
  return files.find((file) => readFileSync(file, 'utf8').includes(path)) ?? '';
}

async function killOne(): Promise<void> {
  const child = await world.startChild();
  await world.ended(child, 'SIGKILL');
  expect(gate()).toBe('unsettled');
  world.log.length = 0;
}

it('is settled for whoever comes after the next one, without anybody asking for the workspaces', async () => {
  await killOne();
  await world.start();
  expect(await world.logged(LOOKED)).toMatchObject({
    pool: 'served',
    workspaces: 4,
    left: 0,
    level: 'info',
  });
  await world.stop();
  expect(gate()).toBe('settled');
});

it('stays unsettled while one of them cannot be looked at, and is settled once it can', async () => {
  await killOne();
  const record = registered(paths[0] ?? '');
  const away = join(world.base, 'away.json');
  renameSync(record, away);
  await world.start();
  expect(await world.logged(LOOKED)).toMatchObject({ left: 1, level: 'warn' });
  await world.stop();
  expect(gate()).toBe('unsettled');
  renameSync(away, record);
  world.log.length = 0;
  await world.start();
  expect(await world.logged(LOOKED)).toMatchObject({ left: 0 });
  await world.stop();
  expect(gate()).toBe('settled');
});

it('is not looked at again after a service that ended in order', async () => {
  await world.start();
  await world.stop();
  expect(world.log.filter(({ message }) => message === LOOKED)).toEqual([]);
  expect(gate()).toBe('settled');
});
