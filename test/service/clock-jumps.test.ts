/**
 * A clock that jumps under the real service (Debian's libfaketime; the monotonic one is left alone, as the
 * kernel does): ids stay in order, a repeated change has its first answer, deadlines are what they were.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ServingProcess } from './serving-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'ghostsnap-clock-'));
const offset = join(folder, 'offset');
let serving: ServingProcess;
let workspace = '';

function jump(by: string): void {
  writeFileSync(offset, `${by}\n`);
}

beforeAll(async () => {
  jump('+0');
  serving = await ServingProcess.make({
    env: {
      // The loader puts the machine's own library folder in place of $LIB.
      ...{ LD_PRELOAD: '/usr/$LIB/faketime/libfaketime.so.1', FAKETIME_NO_CACHE: '1' },
      ...{ FAKETIME_TIMESTAMP_FILE: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' },
    },
  });
  const body = JSON.stringify({ template: serving.template });
  workspace = String((await change('/v1/workspaces', 'made', body)).workspace);
});
afterAll(async () => {
  await serving?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function change(
  path: string,
  key: string,
  body = '{}',
): Promise<Readonly<Record<string, unknown>>> {
  const headers = { 'idempotency-key': key, 'content-type': 'application/json' };
  const timed = { ...headers, 'ghostsnap-timeout-ms': '100000' };
  const { status, text } = await serving.ask('POST', path, timed, body);
  if (status >= 300) throw new Error(text);
  return JSON.parse(text);
}

async function snapshot(key: string): Promise<{ readonly id: string; readonly createdAt: string }> {
  const { snapshot: taken } = await change(`/v1/workspaces/${workspace}/snapshots`, key);
  return taken as { id: string; createdAt: string };
}

it('ids stay in order, changes happen once, nothing is late', async () => {
  const taken = [await snapshot('first')];
  for (const [n, by] of ['-2h', '+3d', '-30d', '+0', '+400d'].entries()) {
    jump(by);
    // The first after a call may have been taken ahead, before the jump.
    taken.push(await snapshot(`jump-${n}`));
    // Repeated after the jump: its answer is as old as the time that has passed, which is none.
    expect((await snapshot('first')).id).toBe(taken[0]?.id);
    const about = JSON.stringify({ session: 's', harness: 'h', tool: 'Bash', key: `k${n}` });
    const { call } = await change(`/v1/workspaces/${workspace}/calls`, `begin-${n}`, about);
    const end = `/v1/workspaces/${workspace}/calls/${call}/end`;
    await change(end, `end-${n}`, '{"outcome":"ok"}');
  }
  taken.push(await snapshot('last'));
  const ids = taken.map(({ id }) => id);
  expect([...ids].sort()).toEqual(ids);
  // The clock did jump, or this shows nothing.
  expect(taken.at(-1)?.createdAt.slice(0, 4)).not.toBe(taken[0]?.createdAt.slice(0, 4));
  const { text } = await serving.ask('GET', `/v1/workspaces/${workspace}/calls`);
  const { calls } = JSON.parse(text) as { calls: { call: string; key: string }[] };
  expect(calls.map(({ key }) => key)).toEqual(['k4', 'k3', 'k2', 'k1', 'k0']);
  expect(serving.defects).toEqual([]);
});
