/**
 * The workspace of a service for one command: its connection, which workspace is meant, Ctrl-C.
 *
 * Loaded only when a service is asked. The connection is closed when the command ends, whatever it ended
 * with; an interrupt ends the request, and the service stops what nobody waits for any more.
 */
import { type Client, createClient } from '../../api/client/client.ts';
import { GhostsnapError } from '../../core/errors.ts';
import { parseTraceVariables, traceFields } from '../../core/trace-context.ts';
import type { CliContext, WorkspaceOptions } from '../cli-context.ts';
import { catchInterrupt } from '../interrupt.ts';
import { loadClientOptions } from './client-config.ts';
import { findWorkspace } from './find-workspace.ts';
import { type RemoteRequest, RemoteWorkspace } from './remote-workspace.ts';

/** @throws GhostsnapError UNREACHABLE, BAD_CONFIG, INTERRUPTED, and what the service says */
export async function withService<T>(
  { environment, output }: CliContext,
  server: string,
  work: (client: Client, request: RemoteRequest) => Promise<T>,
): Promise<T> {
  const options = loadClientOptions(environment, server);
  const trace = parseTraceVariables(environment.env);
  using interrupt = catchInterrupt(output);
  const { signal } = interrupt;
  await using client = createClient(options);
  try {
    return await work(client, { signal, trace: trace === null ? {} : traceFields(trace) });
  } catch (error) {
    throw signal.aborted ? interrupted(signal.reason) : error;
  }
}

/** @throws GhostsnapError BAD_ARGUMENT, WORKSPACE_NOT_FOUND, AMBIGUOUS_ID, and as `withService` */
export async function withRemoteWorkspace<T>(
  context: CliContext,
  options: WorkspaceOptions & { readonly server: string },
  work: (workspace: RemoteWorkspace, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return await withService(context, options.server, async (client, request) => {
    const id = await findWorkspace(client, options.workspace, request);
    return await work(new RemoteWorkspace(client, id, request), request.signal);
  });
}

/** Here nobody knows how far the service came: the local words would promise too much. */
function interrupted(reason: unknown): unknown {
  if (!(reason instanceof GhostsnapError)) return reason;
  return new GhostsnapError('INTERRUPTED', reason.message, {
    hint: 'The service stops at its next safe point; "ghostsnap log --operations" says what it did.',
    data: reason.data,
    cause: reason,
  });
}
