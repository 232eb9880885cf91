/** Output that nobody reads, or that finds no room: what is reported is what happened. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliWorkspace, makeCliWorkspace } from './cli-workspace.ts';

const START = fileURLToPath(new URL('./start-from-source.ts', import.meta.url));

let workspace: CliWorkspace;

beforeAll(async () => {
  workspace = await makeCliWorkspace('store');
  await workspace.ok(['init']);
});

afterAll(async () => {
  await workspace[Symbol.asyncDispose]();
});

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, GHOSTSNAP_HOME: join(workspace.base, 'home') };
}

describe('a result that cannot be written', () => {
  it.each([[['log']], [['snap']], [['status', '--json']]])('is no success: %j', (args) => {
    const full = openSync('/dev/full', 'w');
    try {
      const { status, stderr } = spawnSync(process.execPath, [START, ...args], {
        ...{ cwd: workspace.path, env: environment(), encoding: 'utf8' },
        stdio: ['ignore', full, 'pipe'],
      });
      expect([status, stderr]).toEqual([74, expect.stringContaining('ENOSPC')]);
    } finally {
      closeSync(full);
    }
  });
});

describe('notes that nobody reads', () => {
  it('do not end the command before it has done what was asked', async () => {
    const pool = (await workspace.json<{ pool: string }>(['status'])).pool;
    const before = JSON.parse(await workspace.ok(['log', '--json'])) as unknown[];
    // Adopting what the lost catalog knew is told first of all.
    rmSync(join(workspace.base, 'home/pools', pool, 'catalog.db'));
    const command = '"$0" "$1" snap 2> >(exec true)';
    const { stdout } = spawnSync('bash', ['-c', command, process.execPath, START], {
      ...{ cwd: workspace.path, env: environment(), encoding: 'utf8' },
    });
    expect(stdout).toMatch(/^ghost_/);
    const after = JSON.parse(await workspace.ok(['log', '--json'])) as unknown[];
    expect(after).toHaveLength(before.length + 1);
  });
});
