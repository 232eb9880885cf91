/**
 * Sessions of agents and what people asked them: structure around tool calls.
 *
 * A session is recorded when it is first seen, by whichever report comes first: hooks for its start may
 * be missing, late or skipped. All of it is bounded text from outside.
 */
import { assert } from '../core/errors.ts';
import { type PromptId, promptId } from '../core/ids.ts';
import { keptPrompt } from '../core/kept-input.ts';
import { NAME_BYTES_MAX } from '../core/limits.ts';
import type { PromptRequest, SessionRequest } from './call-results.ts';
import { boundedText, requiredName } from './labels.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** Inside `session.run`. Repeating it changes nothing. @returns the session's checked id */
export function ensureSession(session: WorkspaceSession, request: SessionRequest): string {
  const name = requiredName('session', request.session, NAME_BYTES_MAX);
  const harness = requiredName('harness', request.harness, NAME_BYTES_MAX);
  const parent = boundedText('parent session', request.parentSession, NAME_BYTES_MAX);
  if (session.agent?.session === name) return name;
  const known = session.ports.catalog.session(session.ref.id, name);
  // Read before anything is decided: what is decided may take a moment to be readable.
  const prompt = readNewestPrompt(session, known === null ? parent : name);
  if (known === null || known.endedAtMs !== null) {
    session.decide({ type: 'start-session', session: name, harness, parent }, 'process-crash');
  }
  session.agent = { session: name, prompt };
  return name;
}

/**
 * Inside `session.run`. One that is not known or has ended stays as it is. Those that its agent started end
 * first: nobody is left to report the ends of their calls.
 */
export function endSession(session: WorkspaceSession, name: string): void {
  const known = session.ports.catalog.session(session.ref.id, name);
  if (known === null || known.endedAtMs !== null) return;
  for (const child of childrenOf(session, name)) endSession(session, child);
  session.agent = null;
  session.decide({ type: 'end-session', session: name }, 'process-crash');
}

/** Sessions looked through for those that one has started, newest first. */
const SESSIONS_SEARCHED = 1000;

/** A session is older than those it starts, so none can come round to itself. */
function childrenOf(session: WorkspaceSession, name: string): readonly string[] {
  return session.ports.catalog
    .listSessions(session.ref.id, SESSIONS_SEARCHED)
    .filter((row) => row.parent === name && row.endedAtMs === null && row.session !== name)
    .map((row) => row.session);
}

/** Inside `session.run`. @returns the prompt's id */
export function submitPrompt(session: WorkspaceSession, request: PromptRequest): PromptId {
  const name = ensureSession(session, request);
  const random = session.ports.entropy.ulidRandom();
  const text = keptPrompt(request.text, request.redaction ?? 'on');
  session.decide({ type: 'submit-prompt', random, session: name, text }, 'process-crash');
  session.agent = null;
  // It is the newest id there is.
  const { lastUlid } = session.state;
  assert(lastUlid !== '', 'a prompt that was submitted has an id');
  return promptId(lastUlid);
}

export function newestPromptOf(session: WorkspaceSession, name: string): PromptId | null {
  const { agent } = session;
  return agent?.session === name ? agent.prompt : readNewestPrompt(session, name);
}

/** An agent inside an agent works on what its parent was asked. */
const PARENTS_MAX = 8;

function readNewestPrompt(session: WorkspaceSession, from: string | null): PromptId | null {
  const { catalog } = session.ports;
  let at = from;
  for (let depth = 0; at !== null && depth < PARENTS_MAX; depth += 1) {
    const [newest] = catalog.listPrompts(session.ref.id, { session: at, limit: 1 });
    if (newest !== undefined) return newest.prompt;
    at = catalog.session(session.ref.id, at)?.parent ?? null;
  }
  return null;
}
