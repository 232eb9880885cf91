/**
 * What a tenant may have: workspaces, and snapshots in all of them together.
 *
 * Invariants: whoever has no limit pays nothing. What would go beyond one is refused before anything is begun,
 * and nothing is ever deleted to make room here: what goes is retention's to say. A way back is never refused,
 * so that snapshots which rollbacks and the like take by themselves count and are not asked about.
 *
 * Snapshots are counted from the engines' own states, in slices between requests, and what is taken since is
 * added; retention takes away behind this one's back, so that nobody is refused by a count that is old.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GhostsnapError } from '../core/errors.ts';
import type { WorkspaceId } from '../core/ids.ts';
import type { HostedWorkspace, Ledger } from './ledger.ts';

export interface TenantLimits {
  readonly workspacesMax?: number | undefined;
  /** Kept at once, pinned ones as well. */
  readonly snapshotsMax?: number | undefined;
}

export interface TenantQuotasOptions {
  readonly ledger: Pick<Ledger, 'count' | 'list'>;
  /** As they are now; undefined: none. */
  readonly limitsOf: (tenant: string) => TenantLimits | undefined;
  readonly snapshotsIn: (row: HostedWorkspace) => number;
  readonly monotonicMs: () => number;
}

interface Count {
  /** When it was made, and how long that took. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly snapshots: number;
}

interface Tenant {
  count: Count | null;
  counting: Promise<Count> | null;
  /** Since the counting of `count` began. */
  taken: number;
  /** Let in and not recorded yet, so that those who come at once do not all find the same room. */
  underWay: number;
  /** Workspaces that are being made and are in no ledger yet. */
  making: number;
}

/** Workspaces counted before others have their turn: a fraction of a millisecond. */
const SLICE = 64;
/** A count is not made again before this, and before so many times of what it took: 5 % of the processor. */
const COUNT_AGAIN_MS = 1000;
const COUNT_AGAIN_TIMES = 19;

export class TenantQuotas {
  readonly #options: TenantQuotasOptions;
  readonly #tenants = new Map<string, Tenant>();

  constructor(options: TenantQuotasOptions) {
    this.#options = options;
  }

  /**
   * A place for one more workspace, until `work` says that it is in the ledger or has ended.
   * @throws GhostsnapError QUOTA_EXCEEDED before `work` begins; what it throws
   */
  async makeWorkspace<T>(tenant: string, work: (onInserted: () => void) => Promise<T>): Promise<T> {
    const max = this.#options.limitsOf(tenant)?.workspacesMax;
    if (max === undefined) return await work(() => undefined);
    const known = this.#of(tenant);
    const workspaces = this.#options.ledger.count(tenant) + known.making;
    if (workspaces >= max) throw beyond({ tenant, what: 'workspaces', has: workspaces, max });
    known.making += 1;
    let making = 1;
    const onInserted = (): void => {
      known.making -= making;
      making = 0;
    };
    try {
      return await work(onInserted);
    } finally {
      onInserted();
    }
  }

  /** @throws GhostsnapError QUOTA_EXCEEDED before `work` begins; what it throws */
  async takeSnapshot<T>(tenant: string, work: () => Promise<T>): Promise<T> {
    const max = this.#options.limitsOf(tenant)?.snapshotsMax;
    if (max === undefined) return await work();
    const known = this.#of(tenant);
    if (known.count === null) await this.#count(tenant, known);
    if (has(known) >= max && this.#isOld(known)) await this.#count(tenant, known);
    const snapshots = has(known);
    if (snapshots >= max) throw beyond({ tenant, what: 'snapshots', has: snapshots, max });
    known.underWay += 1;
    try {
      const output = await work();
      known.taken += 1;
      return output;
    } finally {
      known.underWay -= 1;
    }
  }

  /** Some were deleted: counted anew for the next one who asks. */
  forget(tenant: string): void {
    const known = this.#tenants.get(tenant);
    if (known !== undefined) known.count = null;
  }

  #of(tenant: string): Tenant {
    const known = this.#tenants.get(tenant);
    if (known !== undefined) return known;
    const made = { count: null, counting: null, taken: 0, underWay: 0, making: 0 };
    this.#tenants.set(tenant, made);
    return made;
  }

  #isOld({ count }: Tenant): boolean {
    if (count === null) return true;
    const againMs = Math.max(COUNT_AGAIN_MS, count.tookMs * COUNT_AGAIN_TIMES);
    return this.#options.monotonicMs() >= count.atMs + againMs;
  }

  /** Those who come meanwhile wait for the same one. */
  async #count(tenant: string, known: Tenant): Promise<void> {
    known.counting ??= this.#countAll(tenant, known);
    try {
      known.count = await known.counting;
    } finally {
      known.counting = null;
    }
  }

  async #countAll(tenant: string, known: Tenant): Promise<Count> {
    const { ledger, snapshotsIn, monotonicMs } = this.#options;
    const begunMs = monotonicMs();
    // What is taken from here on may be counted twice until the next count; never not at all.
    known.taken = 0;
    let snapshots = 0;
    let after: WorkspaceId | null = null;
    for (;;) {
      const rows: readonly HostedWorkspace[] = ledger.list(tenant, { after, limit: SLICE });
      for (const row of rows) snapshots += snapshotsIn(row);
      after = rows.at(-1)?.id ?? null;
      if (after === null || rows.length < SLICE) break;
      await nextTurn();
    }
    const atMs = monotonicMs();
    return { atMs, tookMs: atMs - begunMs, snapshots };
  }
}

function has({ count, taken, underWay }: Tenant): number {
  return (count?.snapshots ?? 0) + taken + underWay;
}

function beyond(quota: {
  readonly tenant: string;
  readonly what: 'workspaces' | 'snapshots';
  readonly has: number;
  readonly max: number;
}): GhostsnapError {
  const { tenant, what, max } = quota;
  return new GhostsnapError(
    'QUOTA_EXCEEDED',
    `The tenant has ${quota.has} ${what}; ${max} is the most.`,
    { hint: HINTS[what], data: { tenant, quota: what, has: quota.has, max } },
  );
}

const HINTS = {
  workspaces: 'Delete some, or raise "tenants" of the configuration.',
  snapshots: 'Unpin or prune some, end workspaces, or raise "tenants" of the configuration.',
} as const;
