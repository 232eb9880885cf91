/** Whose workspace is fuzzed, and the good requests about it: over the unix socket, or as a tenant. */
import { requestOf } from '../../src/api/client/request-of.ts';
import { ROUTES } from '../../src/api/routes.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { ServingProcess } from '../service/serving-process.ts';
import type { Known } from './request-samples.ts';

type Input = Readonly<Record<string, unknown>>;
type Output = Readonly<Record<string, unknown>>;

/** Asks for an operation as a caller who does it right. @throws when it was not answered well */
export type Ask = (operation: string, input: Input) => Promise<Output>;

export function askAsTenant(serving: ServingProcess): Ask {
  const client = serving.client('red-operator');
  const methods = client as unknown as Readonly<Record<string, (input: Input) => Promise<Output>>>;
  return async (operation, input) => {
    const method = methods[operation];
    if (method === undefined) throw new Error(`no operation: ${operation}`);
    return await method(input);
  };
}

export function askOnSocket(serving: ServingProcess): Ask {
  let keys = 0;
  return async (operation, input) => {
    const route = ROUTES.find((one) => one.operation === operation);
    if (route === undefined) throw new Error(`no operation: ${operation}`);
    const { method, target, body } = requestOf(route, input);
    keys += 1;
    const headers = {
      ...(route.effect === 'mutates' ? { 'idempotency-key': `good-${keys}` } : {}),
      ...(body === null ? {} : { 'content-type': 'application/json' }),
    };
    const { status, text } = await serving.ask(method, target, headers, String(body ?? ''));
    if (status >= 300) throw new Error(`${operation}: ${text}`);
    return JSON.parse(text) as Output;
  };
}

/** A workspace with a session, a call that runs and a snapshot. */
export async function makeKnown(ask: Ask, template: string): Promise<Known> {
  const made = await ask('createWorkspace', { template });
  const workspace = String(made.workspace);
  const about = { workspace, session: 's-1', harness: 'fuzz' };
  await ask('startSession', about);
  const begun = await ask('beginCall', { ...about, tool: 'Bash', key: 'k' });
  const snapshot = String(begun.snapshot);
  return { workspace, template, snapshot, call: String(begun.call) };
}

/** null: it is gone, which a fuzzer may well have asked for. */
export async function lastSequence(ask: Ask, { workspace }: Known): Promise<number | null> {
  try {
    return Number((await ask('getWorkspace', { workspace })).lastSequence);
  } catch {
    return null;
  }
}

/** What happened after a sequence, for whoever has to understand it. */
export async function eventsAfter(
  ask: Ask,
  { workspace }: Known,
  after: number | null,
): Promise<string> {
  const { events } = await ask('listEvents', { workspace, after: after ?? 0 });
  return JSON.stringify(events);
}

/**
 * Returns when everything that was begun on the workspace before has ended, some events later: snapshots
 * and turns are begun in their order, each in a queue of its own, and end one after the other.
 */
export async function settle(ask: Ask, { workspace, snapshot }: Known): Promise<void> {
  try {
    await ask('restore', { workspace, target: snapshot, paths: ['src/a.txt'] });
    await ask('takeSnapshot', { workspace });
  } catch {
    // It is gone, or about to be: the next look makes another one.
  }
}

/** A deletion that was let through may be under way, and is the one that ends the workspace. */
const ENDED_BY_OTHERS = /WORKSPACE_(?:DESTROYED|NOT_FOUND|BUSY|GONE)/;

/** Ends every workspace but the template. */
export async function sweep(ask: Ask, template: string): Promise<void> {
  const { workspaces } = await ask('listWorkspaces', { limit: 1000 });
  for (const { workspace } of workspaces as readonly { readonly workspace: string }[]) {
    if (workspace === template) continue;
    try {
      await ask('deleteWorkspace', { workspace, keep: 'nothing' });
    } catch (error) {
      const code = error instanceof GhostsnapError ? error.code : String(error);
      if (!ENDED_BY_OTHERS.test(code)) throw error;
    }
  }
}
