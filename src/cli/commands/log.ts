/** `ghostsnap log`: sessions, prompts and tool calls, newest first; or the bare list of snapshots. */
import type { Command } from 'commander';
import { GhostsnapError } from '../../core/errors.ts';
import type { ChangeStats } from '../../core/tree-change.ts';
import type { CallInfo } from '../../engine/call-results.ts';
import type { SnapshotInfo } from '../../engine/results.ts';
import { summaryLine } from '../change-lines.ts';
import {
  type CliContext,
  type CommandModule,
  type CommandTarget,
  isRemote,
  targetOptions,
  type WorkspaceOptions,
  withTarget,
} from '../cli-context.ts';
import { formatAge } from '../human-units.ts';
import type { Colors, Output } from '../output.ts';
import { parseCount } from '../parse-count.ts';
import { printableLine } from '../printable-text.ts';
import { callLine, type LoggedOperation, sessionLog } from '../session-log.ts';

interface Options extends WorkspaceOptions {
  readonly number?: number;
  readonly operations?: true;
  readonly changes?: true;
  readonly flat?: true;
  readonly follow?: true;
}

type SnapshotLine = SnapshotInfo & { readonly changes?: ChangeStats | null };

const SHOWN_BY_DEFAULT = 30;

const EXAMPLES = `
Where agents work, the log is grouped by session and by what was asked: each tool
call with a line of its input and what it added (+), modified (~) and deleted (-).
--flat, --operations, --changes and --json list the snapshots one by one.

Examples:
  $ ghostsnap log -n 5
  $ ghostsnap log --follow
  $ ghostsnap log --changes
  $ ghostsnap log --operations --json`;

export const command: CommandModule = {
  register(program, context) {
    targetOptions(program)
      .option('-n, --number <count>', 'list at most this many entries', parseCount)
      .option('--operations', 'list rollbacks, restores, undos and redos between them')
      .option('--changes', 'count what changed since the snapshot before each')
      .option('--flat', 'list the snapshots, also where agents work')
      .option('-f, --follow', 'then print each tool call as it ends, until interrupted')
      .addHelpText('after', EXAMPLES)
      .action((_: Options, self: Command) => log(context, self.optsWithGlobals<Options>()));
  },
};

async function log(context: CliContext, options: Options): Promise<void> {
  const { output } = context;
  const isJson = options.json === true;
  if (options.follow === true && isJson) {
    throw new GhostsnapError('BAD_ARGUMENT', '--follow and --json exclude each other.', {
      hint: 'Give one of them.',
    });
  }
  await withTarget(context, { ...options, readOnly: 'yes' }, async (workspace, signal) => {
    if (await isGrouped(workspace, options)) {
      await printSessions(output, workspace, { ...options, signal });
      return;
    }
    const limit = options.number ?? (isJson ? undefined : SHOWN_BY_DEFAULT);
    const snapshots = await snapshotLines(workspace, { limit, signal, changes: options.changes });
    const operations =
      options.operations === true ? await operationsAmong(workspace, snapshots) : [];
    const entries = interleave(snapshots, operations);
    if (isJson) {
      output.json(entries.map((entry) => ('id' in entry ? entry : operationJson(entry))));
      return;
    }
    const nowMs = Date.now();
    if (entries.length === 0) output.note('No snapshots yet; take one with "ghostsnap snap".');
    for (const entry of entries) {
      const text =
        'id' in entry
          ? snapshotText(entry, output.colors, nowMs)
          : operationText(entry, output.colors, nowMs);
      output.line(text);
    }
    const isCut = snapshots.length === limit && options.number === undefined;
    if (isCut) output.note(`The newest ${limit}; list more with -n.`);
  });
}

/** The story is told where there is one, unless something about snapshots was asked for. */
async function isGrouped(workspace: CommandTarget, options: Options): Promise<boolean> {
  if (options.follow === true) return true;
  const { json, flat, operations, changes } = options;
  const isFlat = [json, flat, operations, changes].some((option) => option === true);
  return !isFlat && (await workspace.listCalls({ limit: 1 })).length > 0;
}

async function printSessions(
  output: Output,
  workspace: CommandTarget,
  options: Options & { readonly signal: AbortSignal },
): Promise<void> {
  const { colors } = output;
  const nowMs = Date.now();
  const root = isRemote(workspace) ? null : workspace.info.path;
  const limit = options.number ?? SHOWN_BY_DEFAULT;
  const { lines, isCut } = await sessionLog(workspace, {
    ...{ limit, nowMs, colors, root },
    snapshotText: (snapshot) => snapshotText(snapshot, colors, nowMs),
    operationText: (operation) => operationText(operation, colors, nowMs),
  });
  for (const line of lines) output.line(line);
  if (isCut && options.number === undefined) output.note(`The newest ${limit}; list more with -n.`);
  if (options.follow !== true) return;
  for await (const call of await endedCalls(workspace, options.signal)) {
    output.line(callLine(call, { nowMs: Date.now(), colors, root }));
  }
}

async function endedCalls(
  workspace: CommandTarget,
  signal: AbortSignal,
): Promise<AsyncIterable<CallInfo>> {
  if (isRemote(workspace)) return workspace.followCalls();
  const { followCalls } = await import('../follow-calls.ts');
  return followCalls(workspace, signal);
}

/** One more than asked is read, so that the oldest one shown has something to be compared with. */
async function snapshotLines(
  workspace: CommandTarget,
  options: {
    readonly limit: number | undefined;
    readonly changes: true | undefined;
    readonly signal: AbortSignal;
  },
): Promise<readonly SnapshotLine[]> {
  const { limit } = options;
  const extra = options.changes === true ? 1 : 0;
  const read = await workspace.list(limit === undefined ? {} : { limit: limit + extra });
  const shown = limit === undefined ? read : read.slice(0, limit);
  if (options.changes !== true) return shown;
  const { countChanges } = await import('../count-changes.ts');
  const lines: SnapshotLine[] = [];
  for (const [index, snapshot] of shown.entries()) {
    const before = read[index + 1];
    const changes =
      before === undefined
        ? null
        : await countChanges(
            workspace.diff(before.id, snapshot.id, { mtimes: false, signal: options.signal }),
          );
    lines.push({ ...snapshot, changes });
  }
  return lines;
}

/** Operations not older than the oldest snapshot listed. */
async function operationsAmong(
  workspace: CommandTarget,
  snapshots: readonly SnapshotInfo[],
): Promise<readonly LoggedOperation[]> {
  const oldest = snapshots.at(-1);
  const sinceMs = oldest === undefined ? 0 : Date.parse(oldest.createdAt);
  const operations: readonly LoggedOperation[] = await workspace.operations(1000);
  return operations.filter((operation) => operation.startedAtMs >= sinceMs);
}

function interleave(
  snapshots: readonly SnapshotLine[],
  operations: readonly LoggedOperation[],
): readonly (SnapshotLine | LoggedOperation)[] {
  const timeOf = (entry: SnapshotLine | LoggedOperation): number =>
    'id' in entry ? Date.parse(entry.createdAt) : entry.startedAtMs;
  // An operation comes after the precautionary snapshot that it took in the same millisecond.
  const rank = (entry: SnapshotLine | LoggedOperation): number => ('id' in entry ? 1 : 0);
  return [...snapshots, ...operations].toSorted(
    (a, b) => timeOf(b) - timeOf(a) || rank(a) - rank(b),
  );
}

function snapshotText(snapshot: SnapshotLine, colors: Colors, nowMs: number): string {
  const { id, label, tool, role, pinned, changes } = snapshot;
  const words = [
    pinned ? colors.magenta('pinned') : '',
    role === 'ordinary' ? '' : colors.dim(role),
    tool === null ? '' : colors.cyan(printableLine(tool)),
    label === null ? '' : colors.bold(printableLine(label)),
    changes === undefined || changes === null ? '' : colors.dim(summaryLine(changes)),
  ].filter((word) => word !== '');
  const age = formatAge(snapshot.createdAt, nowMs).padEnd(12);
  return `${colors.yellow(id)}  ${age}  ${words.join('  ')}`.trimEnd();
}

function operationText(operation: LoggedOperation, colors: Colors, nowMs: number): string {
  const { kind, target, mode, outcome, changes, paths } = operation;
  const age = formatAge(new Date(operation.startedAtMs).toISOString(), nowMs).padEnd(12);
  const what = paths.length === 0 ? '' : ` (${paths.length} paths)`;
  const count = changes === null ? '' : `, ${changes} changes`;
  const ended = outcome === 'completed' ? '' : `, ${outcome}`;
  return colors.dim(`  ${kind}${what} to ${target}  ${age}  ${mode}${count}${ended}`);
}

function operationJson(operation: LoggedOperation): Record<string, unknown> {
  const { kind, target, precautionary, mode, outcome, changes, paths } = operation;
  const { operation: id, startedAtMs, endedAtMs } = operation;
  return {
    ...{ operation: id, kind, target, precautionary, mode, outcome, changes, paths },
    startedAt: new Date(startedAtMs).toISOString(),
    endedAt: endedAtMs === null ? null : new Date(endedAtMs).toISOString(),
  };
}
