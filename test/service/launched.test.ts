/** The service as a person starts it by hand: with the threads that it needs, and no more than were asked. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ServiceWorld } from './service-world.ts';

let world: ServiceWorld;

beforeAll(async () => {
  world = await ServiceWorld.make();
  await world.stop();
});

afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

function threadsOfPool(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const names = readdirSync(tasks).map((id) => readFileSync(`${tasks}/${id}/comm`, 'utf8').trim());
  return names.filter((name) => name === 'libuv-worker').length;
}

it.each([
  ['nobody said how many', {}, 64],
  ['somebody did', { UV_THREADPOOL_SIZE: '9' }, 9],
])('has its threads where %s, and ends in order', async (_when, env, threads) => {
  const child = await world.launch(env);
  await world.begin(world.template, `k${threads}`);
  expect(threadsOfPool(child.pid ?? 0)).toBe(threads);
  expect(await world.ended(child, 'SIGTERM')).toBe(0);
});
