/**
 * The edge of the public API: whatever leaves it is a GhostsnapError with a code, a path and a hint, or
 * a bug.
 *
 * The backend has an edge of its own (coded-backend.ts), at which the engine decides. This one takes what
 * is left: locks, registry, configuration, parts of the program that are loaded on use.
 */
import { atEdge, atEdgeSync, withCodes } from '../backend/failure-edge.ts';
import type { FailureContext } from '../backend/syscall-failure.ts';
import { rawFromText } from '../core/raw-path.ts';
import type { EngineWorkspace } from '../engine/engine-workspace.ts';
import type { Workspace } from '../engine/workspace-api.ts';

/** @param what the start of a sentence: "... failed with EIO" @param subject a path or a name */
export async function atPublicEdge<T>(
  what: string,
  subject: string,
  work: () => Promise<T>,
): Promise<T> {
  return await atEdge(() => context(what, subject), work);
}

/** As `atPublicEdge`. */
export function atPublicEdgeSync<T>(what: string, subject: string, work: () => T): T {
  return atEdgeSync(() => context(what, subject), work);
}

/** The workspace as its users get it. */
export function asPublic(workspace: EngineWorkspace): Workspace {
  return withCodes<Workspace>(workspace, describeMethod);
}

/** One for all workspaces, of which a host has many. */
function describeMethod(
  method: string,
  _: readonly unknown[],
  { info }: Workspace,
): FailureContext {
  return context(`"${method}"`, info.path);
}

function context(what: string, subject: string): FailureContext {
  return { what, path: rawFromText(subject) };
}
