/** `ghostsnap diff A [B] [-- PATH...]`: what turns one state into another. */
import type { Command } from 'commander';
import type { TreeRef } from '../../backend/backend.ts';
import { createChangeCounter } from '../../core/change-stats.ts';
import { GhostsnapError } from '../../core/errors.ts';
import type { TreeChange } from '../../core/tree-change.ts';
import { withRenames } from '../../engine/rename-stream.ts';
import type { Workspace } from '../../engine/workspace-api.ts';
import { changeJson } from '../change-json.ts';
import { nameStatusLine, statLine, summaryLine } from '../change-lines.ts';
import {
  type CliContext,
  type CommandModule,
  type CommandTarget,
  isRemote,
  targetOptions,
  typedPaths,
  type WorkspaceOptions,
  withTarget,
} from '../cli-context.ts';
import type { LineDiffTrees } from '../line-diff.ts';
import type { Output } from '../output.ts';
import type { AskedDiff, RemoteWorkspace } from '../remote/remote-workspace.ts';

interface Options extends WorkspaceOptions {
  readonly stat?: true;
  readonly nameStatus?: true;
  readonly times?: true;
  readonly renames: boolean;
}

const EXAMPLES = `
B is the live tree when it is left out. Letters: A added, D deleted, M modified,
R renamed, T another type of thing, P other properties (mode, owner, xattrs),
! not covered.

Examples:
  $ ghostsnap diff @
  $ ghostsnap diff @~3 @ --stat
  $ ghostsnap diff "tests green" -- src test/unit`;

export const command: CommandModule = {
  register(program, context) {
    targetOptions(program)
      .usage('[options] <from> [to] [-- path...]')
      .argument('<from>', 'snapshot: id, beginning of an id, label, "@" or "@~N"')
      .argument('[to]', 'snapshot, or "live" for the live tree', 'live')
      .option('--stat', 'print a line a path with sizes')
      .option('--name-status', 'print a letter and the path, nothing else')
      .option('--times', 'also list paths that differ in their time alone')
      .option('--no-renames', 'show a renamed path as deleted and added')
      .addHelpText('after', EXAMPLES)
      .action((from: string, to: string, _: Options, self: Command) =>
        diff(context, { from, to }, self.optsWithGlobals<Options>()),
      );
  },
};

async function diff(
  context: CliContext,
  trees: { readonly from: string; readonly to: string },
  options: Options,
): Promise<void> {
  const { output, afterDashes } = context;
  if (options.stat === true && options.nameStatus === true) {
    throw new GhostsnapError('BAD_ARGUMENT', '--stat and --name-status exclude each other.', {
      hint: 'Give one of them.',
    });
  }
  await withTarget(context, { ...options, readOnly: 'yes' }, async (workspace, signal) => {
    const paths = afterDashes === null ? {} : typed(context, workspace, afterDashes);
    const mtimes = options.times === true;
    const onSkipped = (): void => output.note('Too many changes to find renames.');
    const renames = options.renames ? { onSkipped } : null;
    const asked = { ...trees, mtimes, signal, renames, ...paths };
    const changes = isRemote(workspace) ? workspace.changes(asked) : changesHere(workspace, asked);
    if (options.json === true) await printJson(output, changes);
    else if (options.nameStatus === true) {
      for await (const change of changes) output.line(nameStatusLine(change, output.colors));
    } else if (options.stat === true) await printStat(output, changes);
    else if (isRemote(workspace)) {
      await printRemoteLines(output, { workspace, trees }, changes);
    } else await printLines(output, workspace, trees, changes);
  });
}

function changesHere(workspace: Workspace, asked: AskedDiff): AsyncIterable<TreeChange> {
  const { from, to, renames, ...options } = asked;
  const found = workspace.diff(from, to, options);
  if (renames === null) return found;
  const trees = { from: treeRef(workspace, from), to: treeRef(workspace, to) };
  return withRenames(found, { workspace, ...trees, ...renames });
}

function typed(
  context: CliContext,
  workspace: CommandTarget,
  paths: readonly string[],
): { readonly paths?: readonly string[] } {
  return paths.length === 0 ? {} : { paths: typedPaths(context, workspace, paths) };
}

/** One object, written as it comes, so that a diff of a million paths needs no memory for them. */
async function printJson(output: Output, changes: AsyncIterable<TreeChange>): Promise<void> {
  const counter = createChangeCounter();
  let separator = '';
  output.raw('{"changes":[');
  for await (const change of changes) {
    counter.count(change);
    output.raw(`${separator}${JSON.stringify(changeJson(change))}`);
    separator = ',';
  }
  output.raw(`],"stats":${JSON.stringify(counter.stats())}}\n`);
}

async function printStat(output: Output, changes: AsyncIterable<TreeChange>): Promise<void> {
  const counter = createChangeCounter();
  for await (const change of changes) {
    counter.count(change);
    output.line(statLine(change, output.colors));
  }
  output.line(summaryLine(counter.stats()));
}

async function printLines(
  output: Output,
  workspace: Workspace,
  trees: { readonly from: string; readonly to: string },
  changes: AsyncIterable<TreeChange>,
): Promise<void> {
  const printLineDiff = await loadLineDiff();
  using from = await workspace.openTree(treeRef(workspace, trees.from));
  using to = await workspace.openTree(treeRef(workspace, trees.to));
  for await (const change of changes) await printLineDiff(output, change, { from, to });
}

/** Whoever may only look gets names, and is told why. */
async function printRemoteLines(
  output: Output,
  of: {
    readonly workspace: RemoteWorkspace;
    readonly trees: { readonly from: string; readonly to: string };
  },
  changes: AsyncIterable<TreeChange>,
): Promise<void> {
  const printLineDiff = await loadLineDiff();
  const { fetchSides } = await import('../remote/remote-contents.ts');
  let refused = false;
  for await (const change of changes) {
    const sides = refused ? null : await sidesOrRefusal(fetchSides(of.workspace, change, of.trees));
    if (sides === null) {
      if (!refused) output.note('You get no contents there: names only, with --stat sizes.');
      refused = true;
      output.line(nameStatusLine(change, output.colors));
    } else await printLineDiff(output, change, sides);
  }
}

/** null: contents are not for this role, or the service is older than they are. */
async function sidesOrRefusal(fetching: Promise<LineDiffTrees>): Promise<LineDiffTrees | null> {
  try {
    return await fetching;
  } catch (error) {
    const code = error instanceof GhostsnapError ? error.code : null;
    if (code === 'NOT_PERMITTED' || code === 'ROUTE_NOT_FOUND') return null;
    throw error;
  }
}

// Apart from the function above: the compiler leaves the name of a dynamic import unchanged in a
// function that it rewrites for `using`, and the built file would ask for a source file.
async function loadLineDiff(): Promise<typeof import('../line-diff.ts').printLineDiff> {
  return (await import('../line-diff.ts')).printLineDiff;
}

function treeRef(workspace: Workspace, spec: string): TreeRef {
  return spec === 'live' ? 'live' : workspace.resolve(spec);
}
