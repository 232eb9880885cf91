/**
 * What a client may read without calling a tool: the log, one snapshot, one difference. JSON, in the
 * shapes of the tools.
 */
import { type McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { ReadResourceResult } from '@modelcontextprotocol/sdk/types.js';
import { GhostsnapError } from '../../core/errors.ts';
import type { Workspace } from '../../engine/workspace-api.ts';
import { listChanges } from './listed-changes.ts';
import { CHANGES_MAX } from './tool-schemas.ts';

/** Snapshots and calls in the log, and snapshots offered for completion. */
const LISTED_MAX = 50;

const MIME_TYPE = 'application/json';

export function registerResources(server: McpServer, workspace: Workspace): void {
  server.registerResource(
    'log',
    'ghostsnap://log',
    {
      title: 'Log of the workspace',
      description: 'The newest snapshots and tool calls.',
      mimeType: MIME_TYPE,
    },
    (uri) =>
      json(uri, {
        snapshots: workspace.list({ limit: LISTED_MAX }),
        calls: workspace.listCalls({ limit: LISTED_MAX }),
      }),
  );
  server.registerResource(
    'snapshot',
    new ResourceTemplate('ghostsnap://snapshot/{spec}', {
      list: () => ({
        resources: workspace.list({ limit: LISTED_MAX }).map(({ id, label, tool, createdAt }) => ({
          uri: `ghostsnap://snapshot/${id}`,
          name: label ?? (tool === null ? id : `before ${tool}`),
          description: createdAt,
          mimeType: MIME_TYPE,
        })),
      }),
      complete: { spec: (typed) => completions(workspace, typed) },
    }),
    { title: 'A snapshot', description: 'What is known of one snapshot.', mimeType: MIME_TYPE },
    (uri, { spec }) => json(uri, workspace.show(textOf(spec))),
  );
  server.registerResource(
    'diff',
    new ResourceTemplate('ghostsnap://diff/{from}/{to}', {
      list: undefined,
      complete: {
        from: (typed) => completions(workspace, typed),
        to: (typed) => ['live', ...completions(workspace, typed)],
      },
    }),
    {
      title: 'A difference',
      description: 'What changed between two snapshots, or between one and "live".',
      mimeType: MIME_TYPE,
    },
    async (uri, { from, to }) => {
      const found = workspace.diff(textOf(from), textOf(to), { mtimes: false });
      return json(uri, await listChanges(found, CHANGES_MAX));
    },
  );
}

function json(uri: URL, value: unknown): ReadResourceResult {
  return { contents: [{ uri: uri.href, mimeType: MIME_TYPE, text: JSON.stringify(value) }] };
}

function completions(workspace: Workspace, typed: string): string[] {
  const known = workspace.list({ limit: LISTED_MAX }).map(({ id }) => id);
  return known.filter((id) => id.startsWith(typed));
}

/** @throws GhostsnapError BAD_ARGUMENT */
function textOf(variable: string | string[] | undefined): string {
  const raw = Array.isArray(variable) ? variable.join(',') : (variable ?? '');
  try {
    return decodeURIComponent(raw);
  } catch (cause) {
    const message = `${JSON.stringify(raw)} is not part of a URI.`;
    throw new GhostsnapError('BAD_ARGUMENT', message, { cause });
  }
}
