/** A good request of every operation: what a fuzzer breaks. */
import { ROUTES } from '../../src/api/routes.ts';

/** Ids of things that exist, so that what is nearly right gets far. */
export interface Known {
  readonly workspace: string;
  readonly template: string;
  readonly snapshot: string;
  readonly call: string;
}

export interface SentRequest {
  readonly operation: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** What is not in the path; ids by their name in `Known`. */
const INPUTS: Readonly<Record<string, (known: Known) => Fields>> = {
  createWorkspace: ({ template }) => ({ template, snapshot: '@' }),
  adoptWorkspace: () => ({ path: '/tmp/nowhere', name: 'adopted' }),
  listWorkspaces: () => ({ limit: 2 }),
  deleteWorkspace: () => ({ keep: 'nothing' }),
  startSession: () => ({ session: 's-1', harness: 'fuzz', parentSession: 's-0' }),
  listSessions: () => ({ limit: 5 }),
  submitPrompt: () => ({ session: 's-1', harness: 'fuzz', text: 'make it ü 😀' }),
  beginCall: () => ({
    ...{ session: 's-1', harness: 'fuzz', tool: 'Bash', key: 'toolu_1', readOnly: false },
    ...{ input: { command: 'ls', deep: [[{ n: -1.5e3 }]] }, onSnapshotFailure: 'block' },
  }),
  endCall: () => ({ outcome: 'ok' }),
  listCalls: () => ({ session: 's-1', limit: 3, cursor: 'ImNhbGxfMDFKIg' }),
  undoCall: () => ({ conflicts: 'partial' }),
  takeSnapshot: () => ({ label: 'before refactor' }),
  listSnapshots: () => ({ limit: 3, cursor: 'Imdob3N0XzAxSiI' }),
  labelSnapshot: () => ({ label: 'good' }),
  diff: ({ snapshot }) => ({ from: snapshot, to: 'live', paths: ['src/a.txt', 'b'], limit: 10 }),
  rollback: ({ snapshot }) => ({ target: snapshot, mode: 'auto' }),
  restore: ({ snapshot }) => ({ target: snapshot, paths: ['src/a.txt'] }),
  prune: () => ({ act: 'plan' }),
  listEvents: () => ({ after: 1, limit: 5 }),
  followEvents: () => ({ after: 1 }),
};

export function sampleRequests(known: Known, key: string): readonly SentRequest[] {
  return ROUTES.map(({ operation, method, path, effect }) => {
    const target = path
      .replace('{workspace}', known.workspace)
      .replace('{snapshot}', known.snapshot)
      .replace('{call}', known.call)
      .replace('{session}', 's-1');
    const input = INPUTS[operation]?.(known) ?? {};
    const inQuery = method === 'GET' || method === 'DELETE';
    const headers: [string, string][] = [
      ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
    ];
    if (effect === 'mutates') headers.push(['idempotency-key', key]);
    if (!inQuery) headers.push(['content-type', 'application/json']);
    const query = inQuery ? queryOf(input) : '';
    const body = inQuery ? '' : JSON.stringify(input);
    return { operation, method, target: target + query, headers, body };
  });
}

/** The whole input, as a frame has it. */
export function sampleFrames(known: Known, key: string): readonly string[] {
  const { workspace, snapshot, call } = known;
  const places = { workspace, snapshot, call, session: 's-1' };
  return ROUTES.map(({ operation, path, effect }, id) => {
    const inPath = Object.entries(places).filter(([name]) => path.includes(`{${name}}`));
    const input = { ...INPUTS[operation]?.(known), ...Object.fromEntries(inPath) };
    const keyed = effect === 'mutates' ? { key } : {};
    const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    return JSON.stringify({ id, operation, ...keyed, deadlineMs: 60_000, trace, input });
  });
}

function queryOf(input: Fields): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(input)) {
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  return query.size === 0 ? '' : `?${query}`;
}
