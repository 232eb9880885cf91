/**
 * The table: on the terminal, and in docs/benchmarks.md with the machine and the command that made it.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Row } from './measure.ts';

export interface Report {
  readonly rows: readonly Row[];
  /** Cases that were left out, with the reason. */
  readonly leftOut: readonly string[];
  readonly command: string;
  readonly at: string;
  /** Processes that wanted to run, on average over the minute before the first measurement. */
  readonly loadBefore: number;
}

/** The minute's load average: on a machine that is busy with other things, tails say little. */
export function currentLoad(): number {
  return loadavg()[0] ?? 0;
}

const HEAD = ['what', 'ours: p50 (min to p99)', 'baseline', 'result', 'reach', ''];

export function renderTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.what,
    row.ours,
    row.baseline,
    row.result,
    row.reach?.text ?? 'reported',
    row.reach === null ? '' : row.reach.isMet ? 'met' : '**not met**',
  ]);
  return [HEAD, HEAD.map(() => '---'), ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

export function renderDocument(report: Report): string {
  const left = report.leftOut.map((line) => `- ${line}`).join('\n');
  return `# Benchmarks

Made by \`${report.command}\` on ${report.at}.
Ratios compare medians of one run: both sides took turns on the same machine and the same
filesystem. Absolute times say how this machine was, no more.

Machine: ${machine()} Load average when it began: ${report.loadBefore.toFixed(1)}.

${renderTable(report.rows)}
${left === '' ? '' : `\nLeft out in this run:\n\n${left}\n`}
## What is measured

- The bare ioctl is \`bench/c/snapshot-loop.c\`: \`BTRFS_IOC_SNAP_CREATE_V2\` and nothing
  else. It is compiled by the bench, and runs on the same image as ghostsnap.
- "One changed": one file of 2 KB is overwritten before each snapshot. That write and the commit
  copy the path from the root of the filesystem's tree to its leaf; what btrfs itself charges
  for a larger tree is in the baseline's column.
- Shadow git is \`git add -A\` and \`git write-tree\` with a git directory of its own, warmed
  by one run. It leaves out what is ignored, empty directories, modes, owners, hard links and
  xattrs.
- "Bare snapshot + exchange" is one writable snapshot and one \`renameat2\`. A rollback by swap
  takes a precautionary snapshot first, so it does twice the work, and records it.
- The images are made with the options of a pool: 4 KiB nodes, single metadata.

Raw samples of the last run are in \`.bench/\`, one JSON file a run.
`;
}

function machine(): string {
  const processor = cpus()[0]?.model ?? 'unknown processor';
  const gib = Math.round(totalmem() / 2 ** 30);
  const tools = `Node ${process.version}, ${versionOf('btrfs', ['--version'])}, ${versionOf('git', ['--version'])}`;
  return `${cpus().length} x ${processor}, ${gib} GiB, Linux ${release()}, ${debian()}; ${tools}.`;
}

function debian(): string {
  const text = readFileSync('/etc/os-release', 'utf8');
  return /PRETTY_NAME="([^"]*)"/.exec(text)?.[1] ?? 'unknown system';
}

function versionOf(tool: string, args: readonly string[]): string {
  try {
    return execFileSync(tool, args, { encoding: 'utf8' }).trim().split('\n')[0] ?? tool;
  } catch {
    // The tool is only named in the document; a machine without it can still measure the rest.
    return `no ${tool}`;
  }
}
