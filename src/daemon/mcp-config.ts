/** The policy for MCP, from the person's configuration. Loaded only by the commands that speak MCP. */
import { type McpPolicy, parseMcpPolicy } from '../agent/mcp/mcp-policy.ts';
import { badConfig, configFile, readConfigSection } from './config.ts';
import { type Environment, resolveHome } from './home.ts';

/** @throws GhostsnapError BAD_CONFIG */
export function loadMcpPolicy(environment: Environment): McpPolicy {
  const home = resolveHome(environment);
  const parsed = parseMcpPolicy(readConfigSection(home, 'mcp'));
  if ('errors' in parsed) throw badConfig(configFile(home), parsed.errors);
  return parsed.policy;
}
