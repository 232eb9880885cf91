/**
 * The way of every request to its workspace: whose it is, whether it was asked before, when its turn comes.
 *
 * A mutation goes by its idempotency key first (a repetition costs nothing and waits for nobody), then by a
 * place in its lane, then by the workspace's own engine; a look has no key. What is done there is
 * the operation's to say (`service-host.ts`). A workspace whose engine failed is opened anew by the next one
 * who asks.
 */

import { unknownWorkspace } from '../api/access/authorize.ts';
import type { Principal } from '../api/principal.ts';
import { type Lane, ROUTES } from '../api/routes.ts';
import type { InputOf, OperationName, OutputOf } from '../api/schema/operations.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { WorkspaceId } from '../core/ids.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import type { CallContext } from './call-context.ts';
import type { EventFeed } from './event-feed.ts';
import type { KeptAnswers } from './kept-answers.ts';
import type { Lanes } from './lanes.ts';
import type { HostedWorkspace, Ledger } from './ledger.ts';
import type { OpenWorkspaces } from './open-workspaces.ts';

/** One question, as every way through the host takes it. */
export interface Asked<Name extends OperationName> {
  readonly name: Name;
  readonly principal: Principal;
  readonly input: InputOf<Name>;
  readonly context: CallContext;
}

type AskedOfOne<Name extends OperationName> = Asked<Name> & {
  readonly input: { readonly workspace: WorkspaceId };
};

type Work<Name extends OperationName> = (
  workspace: Workspace,
  row: HostedWorkspace,
) => Promise<OutputOf<Name>> | OutputOf<Name>;

const LANES = Object.fromEntries(
  ROUTES.map(({ operation, lane }) => [operation, lane]),
) as Readonly<Record<OperationName, Lane>>;

export interface PlacedWorkOptions {
  readonly ledger: Ledger;
  readonly answers: KeptAnswers;
  readonly lanes: Lanes;
  readonly open: OpenWorkspaces;
  readonly feed: EventFeed;
}

export class PlacedWork {
  readonly #options: PlacedWorkOptions;

  constructor(options: PlacedWorkOptions) {
    this.#options = options;
  }

  /** @throws GhostsnapError WORKSPACE_NOT_FOUND, for another tenant's as well */
  row(principal: Principal, id: WorkspaceId): HostedWorkspace {
    const row = this.#options.ledger.workspace(id);
    if (row === null || row.tenant !== principal.tenant) throw unknownWorkspace();
    return row;
  }

  /** One that is not whole yet, or not any more, is not worked on. @throws GhostsnapError WORKSPACE_BUSY */
  activeRow(principal: Principal, id: WorkspaceId): HostedWorkspace {
    const row = this.row(principal, id);
    if (row.status === 'active') return row;
    throw new GhostsnapError('WORKSPACE_BUSY', `The workspace is ${row.status}: ${id}`, {
      hint: 'Wait until that has ended.',
      data: { workspace: id, status: row.status },
    });
  }

  /** '': of none that is known; whoever asks for it is refused at once. */
  poolOf(id: WorkspaceId): string {
    return this.#options.ledger.workspace(id)?.pool ?? '';
  }

  /** A mutation, by its idempotency key. */
  async once<Name extends OperationName>(
    asked: Asked<Name>,
    work: (asked: Asked<Name>) => Promise<OutputOf<Name>>,
  ): Promise<OutputOf<Name>> {
    const { name: operation, principal, input, context } = asked;
    const key = context.idempotencyKey;
    return await this.#options.answers.once({ principal, key, operation, input }, () =>
      work(asked),
    );
  }

  /** A mutation of one workspace whose work takes its places itself. */
  mutate<Name extends OperationName>(
    asked: AskedOfOne<Name>,
    work: () => Promise<OutputOf<Name>>,
  ): Promise<OutputOf<Name>> {
    return this.once(asked, async () => {
      try {
        return await work();
      } finally {
        this.#options.feed.wake(asked.input.workspace);
      }
    });
  }

  /** A mutation of one workspace, in its operation's lane. */
  change<Name extends OperationName>(
    asked: AskedOfOne<Name>,
    work: Work<Name>,
  ): Promise<OutputOf<Name>> {
    return this.mutate(asked, () => this.read(asked, work));
  }

  /** In its operation's lane, without a key. */
  read<Name extends OperationName>(
    asked: AskedOfOne<Name>,
    work: Work<Name>,
  ): Promise<OutputOf<Name>> {
    const row = this.activeRow(asked.principal, asked.input.workspace);
    return this.placed(asked, row, () => this.#options.open.use(row, (open) => work(open, row)));
  }

  /** With a place in the operation's lane, or in the one that is named. */
  async placed<T>(
    asked: Pick<Asked<OperationName>, 'name' | 'principal' | 'context'> & { readonly lane?: Lane },
    { id: workspace, pool }: { readonly id: WorkspaceId | null; readonly pool: string },
    work: () => Promise<T>,
  ): Promise<T> {
    const { name, principal, lane = LANES[name] } = asked;
    const { signal, deadline } = asked.context;
    try {
      const turn = { tenant: principal.tenant, signal, deadline, lane, pool, workspace };
      return await this.#options.lanes.run(turn, work);
    } catch (error) {
      if (workspace !== null && isOfTheEngine(error)) this.#options.open.drop(workspace);
      throw reasonOf(error, signal);
    }
  }
}

/** The engine says that it was interrupted; the signal knows by what. */
function reasonOf(error: unknown, signal: AbortSignal): unknown {
  if (!(error instanceof GhostsnapError) || error.code !== 'INTERRUPTED') return error;
  return signal.reason instanceof GhostsnapError ? signal.reason : error;
}

/** What the engine believes may not be so any more. */
function isOfTheEngine(error: unknown): boolean {
  if (!(error instanceof GhostsnapError)) return true;
  return error.kind === 'io' || error.kind === 'corrupt';
}
