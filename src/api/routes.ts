/**
 * The routes: how each operation travels over HTTP, who may ask it, and what it competes with.
 *
 * One table for the server, the OpenAPI document, the access check and the client. A mutation carries an
 * `Idempotency-Key`. Parameters in braces are fields of the operation's input; what is left of the input
 * is the query of a GET or DELETE and the JSON body of everything else.
 */
import type { ProtectedRoute } from './access/authorize.ts';
import type { Role } from './principal.ts';
import type { OperationName, StreamName } from './schema/operations.ts';

/**
 * What a request competes with. `call`: what stands before a tool call, and is never behind the others.
 * `read`: looks only. `turn`: goes back. `bulk`: init, deletion, whole diffs: as long as a tree is large.
 */
export type Lane = 'call' | 'read' | 'turn' | 'bulk';

export interface Route {
  readonly operation: OperationName | StreamName;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  /** Who may ask, within their own tenant. */
  readonly roles: readonly Role[];
  readonly lane: Lane;
  readonly effect: 'reads' | 'mutates';
  /** Of the answer when all is well. */
  readonly status: 200 | 201;
  readonly summary: string;
}

/** A route of the server itself: no operation of the host, and therefore nobody's workspace. */
export interface PlainRoute {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly roles: readonly Role[];
}

/** The rule of a route, as the check at the door takes it. */
export function ruleOf({ method, path, roles }: PlainRoute | Route): ProtectedRoute {
  return { operation: `${method} ${path}`, roles };
}

const ALL: readonly Role[] = ['agent', 'operator', 'reader'];
const ACTING: readonly Role[] = ['agent', 'operator'];
const OPERATING: readonly Role[] = ['operator'];

/**
 * All for whoever is somebody: any role of any tenant, and whoever the unix socket lets in. A peer whose
 * certificate names nobody learns neither what there is nor whether it is well.
 */
export const PLAIN_ROUTES = {
  openApi: { method: 'GET', path: '/openapi.json', roles: ALL },
  health: { method: 'GET', path: '/healthz', roles: ALL },
  /** The stream; each frame on it is judged by the rule of its own operation. */
  frames: { method: 'POST', path: '/v1/frames', roles: ALL },
  /** What no route is: told to nobody but those who may know the routes. */
  unknown: { method: 'GET', path: '(no route)', roles: ALL },
} as const satisfies Readonly<Record<string, PlainRoute>>;

const WORKSPACE = '/v1/workspaces/{workspace}';

const reads = { method: 'GET', roles: ALL, lane: 'read', effect: 'reads', status: 200 } as const;
const acts = { method: 'POST', roles: ACTING, effect: 'mutates', status: 200 } as const;

export const ROUTES: readonly Route[] = [
  {
    ...{ ...acts, operation: 'createWorkspace', path: '/v1/workspaces', lane: 'call', status: 201 },
    roles: OPERATING,
    summary: 'Make a workspace from a snapshot of a template, in the time of one snapshot.',
  },
  {
    ...{ ...acts, operation: 'adoptWorkspace', path: '/v1/workspaces/adopt', lane: 'bulk' },
    ...{ roles: OPERATING, status: 201 },
    summary: 'Make a directory of the host a workspace where it stands.',
  },
  {
    ...{ ...reads, operation: 'listWorkspaces', path: '/v1/workspaces' },
    summary: 'List the workspaces of the tenant.',
  },
  {
    ...{ ...reads, operation: 'getWorkspace', path: WORKSPACE },
    summary: 'Show a workspace and its status.',
  },
  {
    ...{ ...acts, operation: 'deleteWorkspace', method: 'DELETE', path: WORKSPACE, lane: 'bulk' },
    roles: OPERATING,
    summary: 'End a workspace and remove its snapshots.',
  },
  {
    ...{ ...acts, operation: 'startSession', path: `${WORKSPACE}/sessions`, lane: 'call' },
    status: 201,
    summary: 'Record a session of an agent; one that runs already stays as it is.',
  },
  {
    ...{ ...reads, operation: 'listSessions', path: `${WORKSPACE}/sessions` },
    summary: 'List the sessions of a workspace, newest start first.',
  },
  {
    ...{ ...acts, operation: 'endSession', path: `${WORKSPACE}/sessions/{session}/end` },
    lane: 'call',
    summary: 'End a session; its calls in flight end as unknown.',
  },
  {
    ...{ ...acts, operation: 'submitPrompt', path: `${WORKSPACE}/prompts`, lane: 'call' },
    status: 201,
    summary: 'Record what a person asked an agent.',
  },
  {
    ...{ ...reads, operation: 'listPrompts', path: `${WORKSPACE}/prompts` },
    summary: 'List what was asked, newest first.',
  },
  {
    ...{ ...acts, operation: 'beginCall', path: `${WORKSPACE}/calls`, lane: 'call', status: 201 },
    summary: 'Begin a tool call: on the answer its snapshot is durable and the tool may run.',
  },
  {
    ...{ ...acts, operation: 'endCall', path: `${WORKSPACE}/calls/{call}/end`, lane: 'call' },
    summary: 'End a tool call; the next snapshot is taken ahead while nobody waits.',
  },
  {
    ...{ ...reads, operation: 'listCalls', path: `${WORKSPACE}/calls` },
    summary: 'List tool calls, newest first.',
  },
  {
    ...{ ...reads, operation: 'getCall', path: `${WORKSPACE}/calls/{call}` },
    summary: 'Show a tool call.',
  },
  {
    ...{ ...reads, operation: 'listUnattributed', path: `${WORKSPACE}/unattributed` },
    summary: 'List snapshots before which something changed without a tool call, newest first.',
  },
  {
    ...{ ...acts, operation: 'undoCall', path: `${WORKSPACE}/calls/{call}/undo`, lane: 'turn' },
    summary: 'Take back what one tool call did, and keep what came later.',
  },
  {
    ...{ ...reads, operation: 'planUndoCall', path: `${WORKSPACE}/calls/{call}/undo` },
    lane: 'bulk',
    summary: 'Say what taking a tool call back would do.',
  },
  {
    ...{ ...acts, operation: 'takeSnapshot', path: `${WORKSPACE}/snapshots`, lane: 'call' },
    status: 201,
    summary: 'Take a snapshot.',
  },
  {
    ...{ ...reads, operation: 'listSnapshots', path: `${WORKSPACE}/snapshots` },
    summary: 'List snapshots, newest first.',
  },
  {
    ...{ ...reads, operation: 'getSnapshot', path: `${WORKSPACE}/snapshots/{snapshot}` },
    summary: 'Show a snapshot.',
  },
  {
    ...{ ...acts, operation: 'pinSnapshot', method: 'PUT', lane: 'call', roles: OPERATING },
    path: `${WORKSPACE}/snapshots/{snapshot}/pin`,
    summary: 'Keep a snapshot whatever the retention rules say.',
  },
  {
    ...{ ...acts, operation: 'unpinSnapshot', method: 'DELETE', lane: 'call', roles: OPERATING },
    path: `${WORKSPACE}/snapshots/{snapshot}/pin`,
    summary: 'Leave a snapshot to the retention rules again.',
  },
  {
    ...{ ...acts, operation: 'labelSnapshot', method: 'PUT', lane: 'call' },
    path: `${WORKSPACE}/snapshots/{snapshot}/label`,
    summary: 'Label a snapshot.',
  },
  {
    ...{ ...reads, operation: 'diff', path: `${WORKSPACE}/diff`, lane: 'bulk' },
    summary: 'List what turns one state into another, a page at a time.',
  },
  {
    // Not for readers: a file may hold what only those who work in the workspace are to know.
    ...{ ...reads, operation: 'readContent', path: `${WORKSPACE}/content`, lane: 'bulk' },
    roles: ACTING,
    summary: 'Read a part of a file as it is, or was in a snapshot.',
  },
  {
    ...{ ...reads, operation: 'listUncovered', path: `${WORKSPACE}/uncovered`, lane: 'bulk' },
    summary: 'Look through the live tree for what snapshots do not hold.',
  },
  {
    ...{ ...reads, operation: 'planTurn', path: `${WORKSPACE}/plan`, lane: 'bulk' },
    summary: 'Say what a rollback, restore, undo or redo would do, a page at a time.',
  },
  {
    ...{ ...acts, operation: 'rollback', path: `${WORKSPACE}/rollback`, lane: 'turn' },
    summary: 'Turn the whole workspace back to a snapshot.',
  },
  {
    ...{ ...acts, operation: 'restore', path: `${WORKSPACE}/restore`, lane: 'turn' },
    summary: 'Turn some paths back to a snapshot.',
  },
  {
    ...{ ...acts, operation: 'undo', path: `${WORKSPACE}/undo`, lane: 'turn' },
    summary: 'Go back to the state before the last operation.',
  },
  {
    ...{ ...acts, operation: 'redo', path: `${WORKSPACE}/redo`, lane: 'turn' },
    summary: 'Go forward again.',
  },
  {
    ...{ ...reads, operation: 'listOperations', path: `${WORKSPACE}/operations` },
    summary: 'List rollbacks, restores, undos and redos, newest first.',
  },
  {
    ...{ ...acts, operation: 'prune', path: `${WORKSPACE}/retention`, lane: 'bulk' },
    roles: OPERATING,
    summary: 'Say what the retention rules keep and drop, or drop it.',
  },
  {
    ...{ ...reads, operation: 'getWorkspaceUsage', path: `${WORKSPACE}/usage` },
    summary: 'What a workspace uses.',
  },
  {
    ...{ ...reads, operation: 'getUsage', path: '/v1/usage' },
    summary: 'What the tenant uses.',
  },
  {
    ...{ ...reads, operation: 'listEvents', path: `${WORKSPACE}/events` },
    summary: 'List events after a sequence.',
  },
  {
    ...{ ...reads, operation: 'followEvents', path: `${WORKSPACE}/events/stream` },
    summary: 'Follow events as server-sent events, from a sequence on (Last-Event-ID).',
  },
];
