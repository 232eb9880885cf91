/**
 * An engine process that holds many workspaces, none of them at work: one pool, one catalog, one
 * backend, and for each workspace what the engine keeps of it.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { nextUlid, poolId, type Ulid, workspaceId } from '../../src/core/ids.ts';
import { resolveHome } from '../../src/daemon/home.ts';
import { openPool } from '../../src/daemon/open-pool.ts';
import { buildWorkspace } from '../../src/daemon/open-workspace.ts';
import { systemEnvironment } from '../../src/index.ts';
import type { PoolRecord } from '../../src/pool/pool.ts';

const { count, base } = JSON.parse(process.argv[2] ?? '{}') as { count: number; base: string };

const environment = systemEnvironment();
const home = resolveHome(environment);
const root = join(base, 'pool');
mkdirSync(join(root, '.ghostsnap'), { recursive: true });
mkdirSync(join(home.data, 'pools', 'bench'), { recursive: true });
let last: Ulid | '' = '';
const nextId = (): Ulid => {
  last = nextUlid(last, Date.now(), randomBytes(10));
  return last;
};
const pool: PoolRecord = {
  ...{ format: 1, name: 'bench', kind: 'btrfs', root, image: null },
  id: poolId(nextId()),
  createdAtMs: Date.now(),
};
const parts = await openPool({ home, pool, watch: 'off' });
globalThis.gc?.();
const emptyBytes = process.memoryUsage().rss;
const held = [];
for (let i = 0; i < count; i += 1) {
  const id = workspaceId(nextId());
  const path = join(base, 'work', String(i));
  // Through JSON, as a record is that was read from its file.
  const record = JSON.parse(
    JSON.stringify({ format: 1, id, path, pool: pool.name, backend: 'btrfs', movedTo: null }),
  );
  held.push(buildWorkspace({ home, environment, record, parts }));
}
globalThis.gc?.();
const rssBytes = process.memoryUsage().rss;
process.stdout.write(JSON.stringify({ emptyBytes, rssBytes, held: held.length }));
