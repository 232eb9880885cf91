/**
 * The log as a person would tell it: sessions, what was asked, the tool calls that followed, and between
 * them what happened without a call. Newest first.
 *
 * Pure but for reading the workspace's lists: lines in, lines out; ages come from the time that is handed in.
 * Every text from an agent is made safe for a terminal and cut to one line here.
 */
import type { CallInfo } from '../engine/call-results.ts';
import type { OperationRow } from '../engine/ports.ts';
import type { SnapshotInfo } from '../engine/results.ts';
import { inputLine } from './call-line.ts';
import type { CommandTarget } from './cli-context.ts';
import { formatAge } from './human-units.ts';
import type { Colors } from './output.ts';
import { printableLine } from './printable-text.ts';

/** An operation as it is told: its token is the backend's own affair. */
export type LoggedOperation = Omit<OperationRow, 'token'>;

export interface SessionLogOptions {
  /** At most this many calls, snapshots and operations in all. */
  readonly limit: number;
  readonly nowMs: number;
  readonly colors: Colors;
  /** The workspace's path; null: it is on another machine. */
  readonly root: string | null;
  readonly snapshotText: (snapshot: SnapshotInfo) => string;
  readonly operationText: (operation: LoggedOperation) => string;
}

/** Columns of an input and of a prompt that are shown. */
const INPUT_COLUMNS = 60;
const PROMPT_COLUMNS = 72;

type Entry =
  | { readonly atMs: number; readonly rank: number; readonly call: CallInfo }
  | { readonly atMs: number; readonly rank: number; readonly snapshot: SnapshotInfo }
  | { readonly atMs: number; readonly rank: number; readonly operation: LoggedOperation };

/** `isCut`: there is more than was asked for. */
export async function sessionLog(
  workspace: CommandTarget,
  options: SessionLogOptions,
): Promise<{ readonly lines: readonly string[]; readonly isCut: boolean }> {
  const { limit } = options;
  const calls = await workspace.listCalls({ limit });
  const operations: readonly LoggedOperation[] = await workspace.operations(limit);
  const owned = new Set(calls.map(({ snapshot }) => snapshot));
  const entries = [
    ...calls.map((call): Entry => ({ atMs: Date.parse(call.begunAt), rank: 0, call })),
    ...(await otherSnapshots(workspace, owned, limit)),
    ...operations.map((operation): Entry => ({ atMs: operation.startedAtMs, rank: 1, operation })),
  ].sort((a, b) => b.atMs - a.atMs || a.rank - b.rank);
  const shown = entries.slice(0, limit);
  const isCut = entries.length > limit || calls.length === limit;
  return { lines: new Teller(await backgroundOf(workspace, limit), options).tell(shown), isCut };
}

/** One call as a line; `log --follow` prints it alone. */
export function callLine(
  call: CallInfo,
  { nowMs, colors, root }: Pick<SessionLogOptions, 'nowMs' | 'colors' | 'root'>,
): string {
  const input = cutTo(printableLine(inputLine(call, root)), INPUT_COLUMNS);
  const words = [
    colors.yellow(call.call),
    colors.cyan(printableLine(call.tool)),
    input,
    countsText(call, colors),
    ...marksOf(call, colors),
    colors.dim(formatAge(call.begunAt, nowMs)),
  ];
  return words.filter((word) => word !== '').join('  ');
}

async function otherSnapshots(
  workspace: CommandTarget,
  owned: ReadonlySet<string | null>,
  limit: number,
): Promise<readonly Entry[]> {
  // Each call has at most one of its own, so among twice as many there are enough others.
  const snapshots = await workspace.list({ limit: limit * 2 });
  return snapshots
    .filter(({ id, call, role }) => !owned.has(id) && call === null && role !== 'precautionary')
    .map((snapshot) => ({ atMs: Date.parse(snapshot.createdAt), rank: 2, snapshot }));
}

/** What calls are told with. */
interface Background {
  /** By session. */
  readonly harnesses: ReadonlyMap<string, string>;
  readonly prompts: ReadonlyMap<string, { readonly text: string; readonly at: string }>;
  /** Snapshots before which something changed without a call. */
  readonly strays: ReadonlySet<string>;
}

async function backgroundOf(workspace: CommandTarget, limit: number): Promise<Background> {
  const sessions = await workspace.listSessions(limit);
  const prompts = await workspace.listPrompts({ limit: limit * 2 });
  const strays = await workspace.listUnattributed(limit);
  return {
    harnesses: new Map(sessions.map(({ session, harness }) => [session, harness])),
    prompts: new Map(prompts.map(({ prompt, text, at }) => [prompt, { text, at }])),
    strays: new Set(strays.map(({ snapshot }) => snapshot)),
  };
}

class Teller {
  readonly #options: SessionLogOptions;
  readonly #background: Background;
  readonly #lines: string[] = [];
  #session: string | null = null;
  #prompt: string | null | undefined = undefined;

  constructor(background: Background, options: SessionLogOptions) {
    this.#background = background;
    this.#options = options;
  }

  tell(entries: readonly Entry[]): readonly string[] {
    for (const entry of entries) {
      if ('call' in entry) this.#tellCall(entry.call);
      else {
        const { snapshotText, operationText } = this.#options;
        const isSnapshot = 'snapshot' in entry;
        this.#lines.push(
          isSnapshot ? snapshotText(entry.snapshot) : operationText(entry.operation),
        );
        this.#session = null;
      }
    }
    return this.#lines;
  }

  #tellCall(call: CallInfo): void {
    const { colors } = this.#options;
    if (call.session !== this.#session) this.#openSession(call.session);
    if (call.prompt !== this.#prompt) this.#openPrompt(call.prompt);
    this.#lines.push(`    ${callLine(call, this.#options)}`);
    if (call.snapshot === null || call.readOnly || !this.#background.strays.has(call.snapshot))
      return;
    const what = 'before this something changed without a call';
    this.#lines.push(`    ${colors.red(what)}  ${colors.dim(call.snapshot)}`);
  }

  #openSession(session: string): void {
    const { colors } = this.#options;
    const harness = this.#background.harnesses.get(session) ?? '';
    const name = printableLine(cutTo(session, PROMPT_COLUMNS));
    this.#lines.push(`${colors.bold(`session ${name}`)}  ${printableLine(harness)}`.trimEnd());
    this.#session = session;
    this.#prompt = undefined;
  }

  #openPrompt(prompt: string | null): void {
    const { colors, nowMs } = this.#options;
    this.#prompt = prompt;
    const known = prompt === null ? undefined : this.#background.prompts.get(prompt);
    if (known === undefined) return;
    const text = cutTo(printableLine(known.text), PROMPT_COLUMNS);
    this.#lines.push(`  ${colors.green(`> ${text}`)}  ${colors.dim(formatAge(known.at, nowMs))}`);
  }
}

/** `+3 ~1 -2`; nothing for what was not counted. */
function countsText({ changes }: CallInfo, colors: Colors): string {
  if (changes === null) return '';
  const parts = [
    changes.added > 0 ? colors.green(`+${changes.added}`) : '',
    changes.modified > 0 ? colors.yellow(`~${changes.modified}`) : '',
    changes.deleted > 0 ? colors.red(`-${changes.deleted}`) : '',
  ].filter((part) => part !== '');
  return parts.join(' ');
}

function marksOf(call: CallInfo, colors: Colors): readonly string[] {
  const isBlocked = call.outcome === 'blocked';
  return [
    call.outcome === null ? colors.dim('running') : '',
    call.outcome === 'failed' ? colors.red('failed') : '',
    call.outcome === 'unknown' ? colors.dim('end unknown') : '',
    call.readOnly && !isBlocked ? colors.dim('read-only') : '',
    call.overlaps.length > 0 ? colors.magenta(`overlaps ${call.overlaps.length}`) : '',
    call.unprotected === null || isBlocked ? '' : colors.red('no snapshot'),
    isBlocked ? colors.red(notRunText(call)) : '',
    call.judged === null ? '' : colors.red(`policy: ${call.judged.action}`),
  ];
}

/** A policy that wants a person asked has no reason of the disk's. */
function notRunText({ unprotected }: CallInfo): string {
  return unprotected === null ? 'not run' : `not run: ${printableLine(unprotected)}`;
}

function cutTo(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;
}
