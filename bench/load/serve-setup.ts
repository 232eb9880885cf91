/**
 * `ghostsnap serve` as an operator would set it up, for workspaces that were made in bulk.
 *
 * The registry and the ledger get their rows as the service itself would have written them, in bulk: it is
 * the calls that are measured, not the making of workspaces.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resolveHome } from '../../src/daemon/home.ts';
import type { WorkspaceRecord } from '../../src/daemon/registry.ts';
import type { HostedWorkspace } from '../../src/service/ledger.ts';
import { openLedger } from '../../src/service/sqlite-ledger.ts';
import type { Place } from '../place.ts';
import type { Certificates } from './certificates.ts';
import type { MadeWorkspace } from './make-workspaces.ts';

export interface ServeSetup {
  readonly place: Place;
  readonly pool: string;
  readonly made: readonly MadeWorkspace[];
  readonly certificates: Certificates;
  /** The SPIFFE id of the gateways: agents of one tenant. */
  readonly gateway: string;
  readonly arming: 'on' | 'off';
}

const TENANT = 'load';

/** @returns the configuration file */
export function setUpServe(setup: ServeSetup): string {
  const { place, pool, made, certificates, gateway, arming } = setup;
  const home = resolveHome(place.environment);
  registerAll(join(home.data, 'workspaces'), pool, made);
  using ledger = openLedger(join(home.data, 'service', 'ledger.db'));
  ledger.insertAll(made.map((one) => hosted(one, pool)));
  const access = join(place.plain, 'access.json');
  const trustDomain = new URL(gateway).host;
  const rules = [{ id: gateway, tenant: TENANT, role: 'agent' }];
  writeFileSync(access, JSON.stringify({ format: 1, trustDomain, rules }));
  const { certFile: certificate, keyFile: key } = certificates.server;
  const { caFile: clientCa } = certificates;
  const config = join(place.plain, 'service.json');
  writeFileSync(
    config,
    JSON.stringify({
      ...{ format: 1, socket: null, pools: [pool], arming },
      listen: { host: '127.0.0.1', port: 0, certificate, key, clientCa, access },
      workspaces: { openMax: Math.max(16, made.length), idleMinutes: 10_000 },
    }),
  );
  return config;
}

/** The registry's files without a sync each. */
function registerAll(directory: string, pool: string, made: readonly MadeWorkspace[]): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const { id, path } of made) {
    const record: WorkspaceRecord = { format: 1, id, path, pool, backend: 'btrfs', movedTo: null };
    const name = createHash('sha256').update(path).digest('hex').slice(0, 32);
    writeFileSync(join(directory, `${name}.json`), JSON.stringify(record), { mode: 0o600 });
  }
}

function hosted({ id, path }: MadeWorkspace, pool: string): HostedWorkspace {
  return {
    ...{ id, path, pool, tenant: TENANT, name: null, backend: 'btrfs', template: null },
    ...{ status: 'active', createdAtMs: 0, request: '' },
  };
}
