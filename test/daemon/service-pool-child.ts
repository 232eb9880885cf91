/**
 * A service on a pool, for the test beside it: calls on every workspace at once; prints
 * "PATH SNAPSHOT CALL" when a call that began was acknowledged, and kills itself right after so many, before
 * anything else can land.
 *
 * Arguments: the directory with `home` in it, the pool's name, how many, the workspaces' paths.
 */
import { writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { resolveHome } from '../../src/daemon/home.ts';
import { openServicePool, requirePool } from '../../src/daemon/open-pool.ts';
import { type Environment, openWorkspace } from '../../src/index.ts';

const [base = '', name = '', count = '', ...paths] = process.argv.slice(2);
const env = { ...process.env, GHOSTSNAP_HOME: join(base, 'home') };
const environment: Environment = { env, cwd: base, homeDir: base, uid: 0 };
const home = resolveHome(environment);
await openServicePool({ home, pool: requirePool(home, name), waitMs: 0 });
let acknowledged = 0;
await Promise.all(paths.map(work));

async function work(path: string): Promise<void> {
  const workspace = await openWorkspace({ workspace: path, environment });
  for (let turn = 0; ; turn += 1) {
    const call = { session: 's', harness: 'test', tool: 'Bash', key: String(turn) };
    const begun = await workspace.beginCall(call);
    // Not console.log: a kill right after the answer must not find the line still buffered.
    writeSync(1, `${path} ${begun.snapshot} ${begun.call}\n`);
    acknowledged += 1;
    if (acknowledged === Number(count)) process.kill(process.pid, 'SIGKILL');
    writeFileSync(join(path, 'file'), String(turn));
    await workspace.endCall({ call: begun.call, outcome: 'ok' });
    await workspace.arm();
  }
}
