/**
 * The composition root as the command line sees it.
 *
 * Only what is on the path before a tool call is loaded at once; everything else when it is asked for.
 */
import type { RecoveryReport } from '../engine/results.ts';
import type { InitWorkspaceOptions, InitWorkspaceResult } from './init-workspace.ts';
import type { PoolInfo, PoolOptions } from './pools.ts';
import type { RecoverWorkspaceOptions } from './recover-workspace.ts';

export { openWorkspace } from './open-workspace.ts';

export async function initWorkspace(options: InitWorkspaceOptions): Promise<InitWorkspaceResult> {
  return await (await import('./init-workspace.ts')).initWorkspace(options);
}

export async function recoverWorkspace(options: RecoverWorkspaceOptions): Promise<RecoveryReport> {
  return await (await import('./recover-workspace.ts')).recoverWorkspace(options);
}

export async function createPool(
  options: PoolOptions & { readonly sizeBytes?: number; readonly directory?: string },
): Promise<PoolInfo> {
  return await (await import('./pools.ts')).createPool(options);
}

export async function listPools(options: Omit<PoolOptions, 'name'> = {}): Promise<PoolInfo[]> {
  return await (await import('./pools.ts')).listPools(options);
}

export async function poolStatus(options: PoolOptions): Promise<PoolInfo> {
  return await (await import('./pools.ts')).poolStatus(options);
}

export async function mountPool(options: PoolOptions): Promise<PoolInfo> {
  return await (await import('./pools.ts')).mountPool(options);
}

export async function destroyPool(
  options: PoolOptions & { readonly force?: 'yes' | 'no' },
): Promise<{ readonly name: string }> {
  return await (await import('./pools.ts')).destroyPool(options);
}
