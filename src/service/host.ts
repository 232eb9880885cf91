/**
 * What the service does, whoever asks and however the question travelled.
 *
 * One method for each operation of the wire, each with an input that was parsed and a principal that was
 * let in. HTTP handlers and streams of frames call this and nothing else. A workspace of another tenant
 * does not exist for the one who asks. Everything that is thrown is a GhostsnapError.
 */
import type { Principal } from '../api/principal.ts';
import type {
  EventView,
  FollowEventsInput,
  InputOf,
  OperationName,
  OutputOf,
} from '../api/schema/operations.ts';
import type { WorkspaceId } from '../core/ids.ts';
import type { CallContext } from './call-context.ts';

/**
 * One question, one answer.
 * @throws GhostsnapError WORKSPACE_NOT_FOUND, INTERRUPTED (deadline passed, or the caller went away),
 *   OVERLOADED, STOPPING, IDEMPOTENCY_CONFLICT, and what the operation itself throws
 */
export type HostMethods = {
  readonly [Name in OperationName]: (
    principal: Principal,
    input: InputOf<Name>,
    context: CallContext,
  ) => Promise<OutputOf<Name>>;
};

export interface ServiceHost extends HostMethods {
  /** Whose a workspace is; null: there is none. For the check at the door. */
  tenantOf(workspace: WorkspaceId): string | null;

  /**
   * Events after a sequence, and then each as it happens, until `context.signal` aborts. In order,
   * without a gap, each once; a reader that is slow is waited for and costs one page.
   */
  followEvents(
    principal: Principal,
    input: FollowEventsInput,
    context: CallContext,
  ): AsyncIterable<EventView>;
}
