/**
 * What a load run does, as plain values: handed to the generator's process as JSON.
 */
export type Transport = 'http' | 'frames';

export interface LoadTarget {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  /** PEM files of the client. */
  readonly keyFile: string;
  readonly certFile: string;
  readonly caFile: string;
}

export interface LoadPlan {
  readonly target: LoadTarget;
  readonly transport: Transport;
  /** One a session: its workspace and where that is. */
  readonly sessions: readonly { readonly workspace: string; readonly path: string }[];
  readonly connections: number;
  /** Milliseconds from the beginning of a session's call to that of its next. */
  readonly thinkMs: number;
  /** Milliseconds that a tool runs: uniform between these. */
  readonly toolMs: { readonly min: number; readonly max: number };
  /** Share of calls whose tool changes the workspace. */
  readonly mutatingShare: number;
  /** Not recorded: connections, code and caches come up. */
  readonly warmUpMs: number;
  readonly measuredMs: number;
  /** One JSON line an acknowledged begin: what has to be on disk afterwards. */
  readonly ledgerFile: string;
  readonly seed: number;
}

/** A begin that was acknowledged. */
export interface LedgerEntry {
  readonly workspace: string;
  readonly key: string;
  readonly call: string;
  readonly snapshot: string | null;
  /** The number that the workspace's file held before the call: so it is in the snapshot. null: read-only. */
  readonly counter: number | null;
}
