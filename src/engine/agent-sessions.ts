/**
 * Sessions of agents and what people asked them: structure around tool calls.
 *
 * A session is recorded when it is first seen, by whichever report comes first: hooks for its start may
 * be missing, late or skipped. All of it is bounded text from outside.
 */
import type { PromptId } from '../core/ids.ts';
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
  const known = session.ports.catalog.session(session.ref.id, name);
  if (known !== null && known.endedAtMs === null) return name;
  session.decide({ type: 'start-session', session: name, harness, parent }, 'process-crash');
  return name;
}

/** Inside `session.run`. One that is not known or has ended stays as it is. */
export function endSession(session: WorkspaceSession, name: string): void {
  const known = session.ports.catalog.session(session.ref.id, name);
  if (known === null || known.endedAtMs !== null) return;
  session.decide({ type: 'end-session', session: name }, 'process-crash');
}

/** Inside `session.run`. @returns the prompt's id */
export function submitPrompt(session: WorkspaceSession, request: PromptRequest): PromptId {
  const name = ensureSession(session, request);
  const random = session.ports.entropy.ulidRandom();
  const text = keptPrompt(request.text, request.redaction ?? 'on');
  session.decide({ type: 'submit-prompt', random, session: name, text }, 'process-crash');
  const prompt = newestPromptOf(session, name);
  if (prompt === null) throw new Error('Invariant violated: a prompt that was submitted is known.');
  return prompt;
}

/** An agent inside an agent works on what its parent was asked. */
const PARENTS_MAX = 8;

export function newestPromptOf(session: WorkspaceSession, name: string): PromptId | null {
  const { catalog } = session.ports;
  let at: string | null = name;
  for (let depth = 0; at !== null && depth < PARENTS_MAX; depth += 1) {
    const [newest] = catalog.listPrompts(session.ref.id, { session: at, limit: 1 });
    if (newest !== undefined) return newest.prompt;
    at = catalog.session(session.ref.id, at)?.parent ?? null;
  }
  return null;
}
