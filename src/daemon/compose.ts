/**
 * The composition root as the command line sees it.
 *
 * Only what is on the path before a tool call is loaded at once; everything else when it is asked for.
 */
import type { McpPolicy } from '../agent/mcp/mcp-policy.ts';
import type { BisectRecord } from '../engine/bisect.ts';
import type { PolicyInForce } from '../engine/judge-call.ts';
import type { BisectFileOptions, OpenBisect } from './bisect-file.ts';
import type { ForgetWorkspaceOptions, ForgottenWorkspace } from './forget-workspace.ts';
import { type Environment, resolveHome } from './home.ts';
import type { InitWorkspaceOptions, InitWorkspaceResult } from './init-workspace.ts';
import type { McpToken } from './mcp-token.ts';
import type { PoolInfo, PoolOptions } from './pools.ts';
import type { RecoverWorkspaceOptions, RecoverWorkspaceReport } from './recover-workspace.ts';
import { systemEnvironment } from './system-ports.ts';

export { openWorkspace } from './open-workspace.ts';

export async function initWorkspace(options: InitWorkspaceOptions): Promise<InitWorkspaceResult> {
  return await (await import('./init-workspace.ts')).initWorkspace(options);
}

export async function recoverWorkspace(
  options: RecoverWorkspaceOptions,
): Promise<RecoverWorkspaceReport> {
  return await (await import('./recover-workspace.ts')).recoverWorkspace(options);
}

export async function forgetWorkspace(
  options: ForgetWorkspaceOptions,
): Promise<ForgottenWorkspace> {
  return await (await import('./forget-workspace.ts')).forgetWorkspace(options);
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

export async function loadMcpPolicy(options: {
  readonly environment: Environment;
}): Promise<McpPolicy> {
  return (await import('./mcp-config.ts')).loadMcpPolicy(options.environment);
}

export async function loadMcpToken(options: {
  readonly environment: Environment;
}): Promise<McpToken> {
  return (await import('./mcp-token.ts')).loadMcpToken(options.environment);
}

/** @throws GhostsnapError BAD_CONFIG when the person's configuration is wrong */
export async function readPolicy(options: {
  readonly text: string | null;
  readonly environment?: Environment;
}): Promise<PolicyInForce> {
  const { policySource } = await import('./policy-files.ts');
  const environment = options.environment ?? systemEnvironment();
  return await policySource(resolveHome(environment)).rulesWith(options.text);
}

/** Alone with the record of a workspace's bisect until disposed. @throws GhostsnapError LOCKED */
export async function openBisect(options: BisectFileOptions): Promise<OpenBisect> {
  return await (await import('./bisect-file.ts')).openBisect(options);
}

export async function readBisect(options: BisectFileOptions): Promise<BisectRecord | null> {
  return (await import('./bisect-file.ts')).readBisect(options);
}

export async function destroyPool(
  options: PoolOptions & { readonly force?: 'yes' | 'no' },
): Promise<{ readonly name: string }> {
  return await (await import('./pools.ts')).destroyPool(options);
}
