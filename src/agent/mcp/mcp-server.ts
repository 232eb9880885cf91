/** The MCP server of one workspace: one for each connection, all over the same `Workspace`. */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { Workspace } from '../../engine/workspace-api.ts';
import type { McpPolicy } from './mcp-policy.ts';
import { registerResources } from './mcp-resources.ts';
import { registerTools } from './mcp-tools.ts';

export interface McpServerOptions {
  readonly workspace: Workspace;
  readonly policy: McpPolicy;
  readonly version: string;
}

/** Elements of one call's input: paths, mostly. */
const INPUT_ELEMENTS_MAX = 2000;

export function createMcpServer({ workspace, policy, version }: McpServerOptions): McpServer {
  const server = new McpServer(
    { name: 'ghostsnap', title: 'ghostsnap', version },
    {
      maxToolInputElements: INPUT_ELEMENTS_MAX,
      instructions: `Snapshots of the workspace ${workspace.info.path} and the way back. Take one before work that is hard to undo; "diff" with "@" shows what changed since the newest; "restore" brings single paths back, "rollback" everything.`,
    },
  );
  registerTools({ server, workspace, policy });
  registerResources(server, workspace);
  return server;
}
