/**
 * `ghostsnap recover`: recovery asked for, also when an ordinary open cannot.
 *
 * A catalog that cannot be read is moved aside, never deleted, and a new one is filled from the disk:
 * everything but labels comes back.
 */
import path from 'node:path';
import { mendCatalog } from '../catalog/mend-catalog.ts';
import type { RecoveryReport } from '../engine/results.ts';
import { type Environment, poolDirectory, resolveHome } from './home.ts';
import { findRecord, openWorkspace } from './open-workspace.ts';
import { systemEnvironment } from './system-ports.ts';

export interface RecoverWorkspaceOptions {
  readonly workspace?: string;
  readonly environment?: Environment;
}

/** @throws GhostsnapError WORKSPACE_NOT_FOUND, and what the mending itself throws */
export async function recoverWorkspace(
  options: RecoverWorkspaceOptions = {},
): Promise<RecoveryReport> {
  const environment = options.environment ?? systemEnvironment();
  const home = resolveHome(environment);
  const record = findRecord(home, environment, options.workspace);
  mendCatalog(path.join(poolDirectory(home, record.pool), 'catalog.db'));
  return await recoverOpened(options);
}

async function recoverOpened(options: RecoverWorkspaceOptions): Promise<RecoveryReport> {
  await using workspace = await openWorkspace(options);
  const opening = workspace.openReport;
  const report = await workspace.recover();
  return {
    adopted: [...opening.adopted, ...report.adopted],
    lost: [...opening.lost, ...report.lost],
    torn: report.torn,
    finished: [...opening.finished, ...report.finished],
    abandoned: [...opening.abandoned, ...report.abandoned],
  };
}
