/**
 * Which workspace of a service is meant: by its id, the beginning of one, or its name there.
 *
 * A name is looked up, never guessed: what is unknown or means several is an error that names a few.
 */
import type { Client } from '../../api/client/client.ts';
import type { OutputOf } from '../../api/schema/operations.ts';
import { GhostsnapError } from '../../core/errors.ts';
import { isWorkspaceId, type WorkspaceId } from '../../core/ids.ts';
import { API_PAGE_MAX } from '../../core/limits.ts';
import type { RemoteRequest } from './remote-workspace.ts';

type WorkspaceView = OutputOf<'listWorkspaces'>['workspaces'][number];

/** Workspaces that an error names. */
const NAMED_MAX = 5;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** @throws GhostsnapError BAD_ARGUMENT (none is named), WORKSPACE_NOT_FOUND, AMBIGUOUS_ID */
export async function findWorkspace(
  client: Client,
  named: string | undefined,
  request: RemoteRequest,
): Promise<WorkspaceId> {
  if (named === undefined) {
    throw await listing(client, request, 'BAD_ARGUMENT', 'No workspace of the service is named.');
  }
  if (isWorkspaceId(named)) return named;
  const found = NAME.test(named) ? await byName(client, named, request) : [];
  const meant = found.length > 0 ? found : await byBeginning(client, named, request);
  const [first] = meant;
  if (first === undefined) {
    const message = `The service has no workspace ${named} for you.`;
    throw await listing(client, request, 'WORKSPACE_NOT_FOUND', message);
  }
  if (meant.length === 1) return first.workspace;
  const ids = meant.slice(0, NAMED_MAX).map(({ workspace }) => workspace);
  throw new GhostsnapError('AMBIGUOUS_ID', `${named} is the beginning of several workspaces.`, {
    hint: `Write more of it: ${ids.join(', ')}`,
    data: { workspace: named, ids },
  });
}

/** Every workspace that the caller may see, a page at a time. */
export async function* allWorkspaces(
  client: Client,
  { signal, trace }: RemoteRequest,
): AsyncGenerator<WorkspaceView> {
  let cursor: string | null = null;
  do {
    const about = { limit: API_PAGE_MAX, ...(cursor === null ? {} : { cursor }) };
    const page: OutputOf<'listWorkspaces'> = await client.listWorkspaces(about, {
      signal,
      ...trace,
    });
    yield* page.workspaces;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

async function byName(
  client: Client,
  name: string,
  { signal, trace }: RemoteRequest,
): Promise<readonly WorkspaceView[]> {
  return (await client.listWorkspaces({ name }, { signal, ...trace })).workspaces;
}

async function byBeginning(
  client: Client,
  begins: string,
  request: RemoteRequest,
): Promise<readonly WorkspaceView[]> {
  if (!begins.startsWith('ws_')) return [];
  const found: WorkspaceView[] = [];
  for await (const one of allWorkspaces(client, request)) {
    if (one.workspace.startsWith(begins)) found.push(one);
    if (found.length > NAMED_MAX) break;
  }
  return found;
}

async function listing(
  client: Client,
  { signal, trace }: RemoteRequest,
  code: 'BAD_ARGUMENT' | 'WORKSPACE_NOT_FOUND',
  message: string,
): Promise<GhostsnapError> {
  const about = { limit: NAMED_MAX };
  const { workspaces, nextCursor } = await client.listWorkspaces(about, { signal, ...trace });
  const names = workspaces.map(({ name, workspace }) => name ?? workspace);
  const more = nextCursor === null ? '' : ', ... ("ghostsnap status --server URL" lists all)';
  return new GhostsnapError(code, message, {
    hint:
      names.length === 0
        ? 'It has none for you; a platform or an operator makes them.'
        : `Name one with -w: ${names.join(', ')}${more}`,
    data: { workspaces: workspaces.map(({ workspace }) => workspace) },
  });
}
