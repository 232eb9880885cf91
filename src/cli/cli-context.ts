/**
 * What a command gets: where to print, what the process knows, how to open the workspace.
 *
 * A command sets `exitCode` when it ends with something else than 0 without an error; errors are
 * thrown. Heavy parts (the composition root, libraries for questions and bars) are loaded on use.
 */
import { realpathSync } from 'node:fs';
import type { Command } from 'commander';
import { displayPath, rawFromText } from '../core/raw-path.ts';
import type { RecoveryReport, UnfinishedTurn } from '../engine/results.ts';
import type { Workspace, WorkspaceInfo } from '../engine/workspace-api.ts';
import type { Composition, Environment } from './composition.ts';
import { abortReason, catchInterrupt } from './interrupt.ts';
import type { Output } from './output.ts';
import type { RemoteWorkspace } from './remote/remote-workspace.ts';

export interface CliContext {
  readonly output: Output;
  readonly environment: Environment;
  composition(): Promise<Composition>;
  /** Arguments after the first `--`, null without one. Only for commands that ask for it. */
  readonly afterDashes: readonly string[] | null;
  exitCode: number;
}

/** A verb's module: what `commands/<verb>.ts` exports as `command`. */
export interface CommandModule {
  /** Adds arguments, options, help and the action to a command that has its name and summary. */
  register(command: Command, context: CliContext): void;
}

/** Options that every command with a workspace understands. */
export interface WorkspaceOptions {
  readonly workspace?: string;
  readonly server?: string;
  readonly json?: true;
}

export function workspaceOption(command: Command): Command {
  return command.option('-w, --workspace <dir>', 'use the workspace at or around DIR');
}

export function jsonOption(command: Command): Command {
  return command.option('--json', 'print the result as JSON');
}

/** Options of a command that a service carries out as well. */
export function targetOptions(command: Command): Command {
  return workspaceOption(jsonOption(command)).option(...SERVER_OPTION);
}

export const SERVER_OPTION = [
  '--server <url>',
  'ask the service at URL, where -w is a name or an id',
] as const;

/** The service that is to be asked; null: this machine. */
export function askedServer(
  { environment }: CliContext,
  { server }: Pick<WorkspaceOptions, 'server'>,
): string | null {
  return server ?? (environment.env.GHOSTSNAP_SERVER || null);
}

/**
 * What a command works on: a workspace of this machine, or one of a service. Methods have the same names
 * and give the same; what the one gives at once the other gives soon, so a command awaits it.
 */
export type CommandTarget = Workspace | RemoteWorkspace;

export function isRemote(target: CommandTarget): target is RemoteWorkspace {
  return 'followCalls' in target;
}

/** `withWorkspace`, or the same with the workspace of the service that is asked. */
export async function withTarget<T>(
  context: CliContext,
  options: WorkspaceOptions & { readonly readOnly?: 'yes' | 'no' },
  work: (target: CommandTarget, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const server = askedServer(context, options);
  if (server === null) return await withWorkspace(context, options, work);
  // On use: what runs before each tool call of an agent loads nothing of the network.
  const { withRemoteWorkspace } = await import('./remote/with-remote.ts');
  return await withRemoteWorkspace(context, { ...options, server }, work);
}

/**
 * Opens the workspace, runs `work`, closes it, also after a failure. Ctrl-C aborts the signal that
 * `work` gets; what the open had to mend is told.
 */
export async function withWorkspace<T>(
  context: CliContext,
  options: { readonly workspace?: string; readonly readOnly?: 'yes' | 'no' },
  work: (workspace: Workspace, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { openWorkspace } = await context.composition();
  using interrupt = catchInterrupt(context.output);
  try {
    await using workspace = await openWorkspace({
      environment: context.environment,
      watch: 'off',
      ...(options.workspace === undefined ? {} : { workspace: options.workspace }),
      ...(options.readOnly === undefined ? {} : { readOnly: options.readOnly }),
    });
    noteRecovery(context.output, workspace.openReport);
    return await work(workspace, interrupt.signal);
  } catch (error) {
    throw abortReason(error, interrupt.signal);
  }
}

type Mended = Exclude<keyof RecoveryReport, 'unfinished'>;

/** What each part of a recovery report means, in the order it is told. */
export const RECOVERY_WORDS: readonly (readonly [Mended, string])[] = [
  ['adopted', 'found on disk and adopted'],
  ['lost', 'gone from disk and dropped from the list'],
  ['torn', 'on disk but not usable'],
  ['finished', 'interrupted and now finished'],
  ['abandoned', 'interrupted and now taken back'],
];

function noteRecovery(output: Output, report: RecoveryReport): void {
  for (const [part, meaning] of RECOVERY_WORDS) {
    const ids = report[part];
    if (ids.length > 0) output.note(`Mended on opening: ${meaning}: ${summarizeList(ids)}`);
  }
  if (report.unfinished !== null) noteUnfinished(output, report.unfinished);
}

/** Both its states are whole; nothing but reading and deleting goes on until it is ended. */
function noteUnfinished(output: Output, { operation, reason }: UnfinishedTurn): void {
  output.warn(`${operation} has not ended: ${reason}`);
  output.note(
    'Make room ("ghostsnap prune", or delete files elsewhere), then "ghostsnap recover".',
  );
}

/** The first few of a list, and how many more there are. */
export function summarizeList(items: readonly string[]): string {
  const shown = items.slice(0, 5).join(', ');
  return items.length > 5 ? `${shown} and ${items.length - 5} more` : shown;
}

/**
 * Paths as typed, for the API: relative to the current directory while that is inside the
 * workspace, else, and on a service always, to the workspace. The API understands the escapes of
 * printed paths, so the part that comes from the current directory is escaped and the rest is
 * passed on as typed.
 */
export function typedPaths(
  context: CliContext,
  target: CommandTarget,
  paths: readonly string[],
): readonly string[] {
  if (isRemote(target)) return paths;
  const { info } = target;
  const inside = insideWorkspace(context.environment.cwd, info);
  if (inside === '') return paths;
  const below = displayPath(rawFromText(inside));
  return paths.map((path) => (path.startsWith('/') ? path : `${below}/${path}`));
}

/** The current directory below the workspace; '' when it is the root or elsewhere. */
function insideWorkspace(cwd: string, { path, poolRoot, workspace }: WorkspaceInfo): string {
  // The kernel names the current directory without symlinks, the workspace may be reached by one, and
  // its tree may lie in the pool.
  const inPool = `${realPathOf(poolRoot)}/work/${workspace}`;
  for (const root of [path, realPathOf(path), inPool]) {
    if (cwd.startsWith(`${root}/`)) return cwd.slice(root.length + 1);
  }
  return '';
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // A workspace that is gone has no other name; opening it has said so, or a rollback brings it
    // back.
    return path;
  }
}
