/**
 * What the MCP server and the MCP proxy may do by themselves.
 *
 * The section "mcp" of `config.json`, all of it optional. Looking and taking snapshots is free; what
 * changes the tree needs a person unless the policy says otherwise, and a tool that is denied says so.
 */
import { z } from 'zod';
import type { OnSnapshotFailure } from '../call-guard.ts';

/** The server's tools. */
export const MCP_TOOLS = ['list', 'diff', 'snapshot', 'rollback', 'restore', 'undo'] as const;

export type McpToolName = (typeof MCP_TOOLS)[number];

export type Permission = 'allow' | 'confirm' | 'deny';

export interface McpPolicy {
  readonly tools: Readonly<Record<McpToolName, Permission>>;
  readonly onSnapshotFailure: OnSnapshotFailure;
  /** Whether the proxy believes a server that calls a tool read-only. */
  readonly readOnlyHint: 'trust' | 'ignore';
}

const permission = z.enum(['allow', 'confirm', 'deny']);

const schema = z.strictObject({
  tools: z
    .strictObject({
      list: permission.default('allow'),
      diff: permission.default('allow'),
      snapshot: permission.default('allow'),
      rollback: permission.default('confirm'),
      restore: permission.default('confirm'),
      undo: permission.default('confirm'),
    } satisfies Record<McpToolName, unknown>)
    .prefault({}),
  onSnapshotFailure: z.enum(['block', 'warn']).default('block'),
  readOnlyHint: z.enum(['trust', 'ignore']).default('trust'),
});

/** A policy, or everything that is wrong with it. */
export function parseMcpPolicy(
  section: unknown,
): { readonly policy: McpPolicy } | { readonly errors: readonly string[] } {
  const parsed = schema.safeParse(section ?? {});
  if (parsed.success) return { policy: parsed.data };
  return {
    errors: parsed.error.issues.map(
      ({ path, message }) => `${['mcp', ...path].join('.')}: ${message}`,
    ),
  };
}
