/**
 * Comparing two trees by programs that know nothing of ghostsnap: rsync with checksums where it is
 * there, else diff for contents and find for everything else.
 */
import type { Environment } from '../composition.ts';
import { findTool } from '../machine-checks.ts';
import { runShell, runShellOrThrow, type ShellOptions } from './demo-shell.ts';

export interface ComparedTrees {
  readonly expected: string;
  readonly actual: string;
}

/** `differences` is empty when the trees are the same. */
export interface Comparison {
  readonly tool: string;
  readonly differences: readonly string[];
}

/**
 * Modes, owners, times, sizes, link counts and targets; sizes of directories are the filesystem's.
 */
const FIND_LISTING = [
  ...['(', '-type', 'd', '-printf', '%P|d|%m|%U|%G|%T@\\n', ')', '-o'],
  ...['(', '-type', 'l', '-printf', '%P|l|%U|%G|%T@|%l\\n', ')', '-o'],
  ...['(', '-printf', '%P|%y|%m|%U|%G|%T@|%s|%n\\n', ')'],
];

export async function compareIndependently(
  trees: ComparedTrees,
  environment: Environment,
  signal: AbortSignal,
): Promise<Comparison> {
  const base = { cwd: '/', env: { ...environment.env, LC_ALL: 'C' }, signal };
  return findTool(environment, 'rsync') === null
    ? await compareByDiff(trees, base)
    : await compareByRsync(trees, base);
}

/** What the tool is called in the demo's report. */
export function comparingTool(environment: Environment): string {
  return findTool(environment, 'rsync') === null
    ? 'diff -r and find'
    : 'rsync -naicHAXX --delete --modify-window=-1';
}

type Base = Omit<ShellOptions, 'command'>;

async function compareByRsync(trees: ComparedTrees, base: Base): Promise<Comparison> {
  // A window of -1 compares times to the nanosecond; by default rsync looks at whole seconds.
  const flags = ['-naicHAXX', '--delete', '--modify-window=-1'];
  const command = ['rsync', ...flags, `${trees.expected}/`, `${trees.actual}/`];
  const { status, stdout, stderr } = await runShell({ ...base, command });
  const differences = linesOf(stdout);
  if (status !== 0) differences.push(`rsync ended with ${status}: ${stderr.trim()}`);
  return { tool: 'rsync', differences };
}

async function compareByDiff(trees: ComparedTrees, base: Base): Promise<Comparison> {
  const { expected, actual } = trees;
  const contents = await runShell({
    ...base,
    command: ['diff', '-r', '--brief', '--no-dereference', expected, actual],
  });
  const differences = linesOf(contents.stdout);
  if (contents.status > 1) differences.push(contents.stderr.trim());
  const before = await listing(expected, base);
  const after = await listing(actual, base);
  for (const line of before) if (!after.has(line)) differences.push(`expected ${line}`);
  for (const line of after) if (!before.has(line)) differences.push(`found ${line}`);
  return { tool: 'diff and find', differences };
}

async function listing(root: string, base: Base): Promise<ReadonlySet<string>> {
  const command = ['find', root, ...FIND_LISTING];
  const { stdout } = await runShellOrThrow({ ...base, command });
  return new Set(linesOf(stdout));
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
