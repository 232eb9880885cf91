/**
 * The table: on the terminal, and in docs/benchmarks.md with the machines and the commands that made it.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { CaseRecord, KeptRow } from './record.ts';

/** The minute's load average: on a machine that is busy with other things, tails say little. */
export function currentLoad(): number {
  return loadavg()[0] ?? 0;
}

const HEAD = ['what', 'ours: p50 (min to p99)', 'baseline', 'result', 'reach', ''];

export function renderTable(rows: readonly KeptRow[]): string {
  return asTable(HEAD, rows.map(cellsOf));
}

function cellsOf(row: KeptRow): string[] {
  return [
    row.what,
    row.ours,
    row.baseline,
    row.result,
    row.reach?.text ?? 'reported',
    row.reach === null ? '' : row.reach.isMet ? 'met' : '**not met**',
  ];
}

function asTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

/** @param load the table of the service under load */
export function renderDocument(records: readonly CaseRecord[], load: string): string {
  const lines = records.flatMap((record) =>
    record.rows.map((row) => [
      ...cellsOf(row),
      record.at.slice(0, 10),
      record.loadBefore.toFixed(1),
    ]),
  );
  const cases = records.map(({ name, at, command }) => [name, at.slice(0, 16), `\`${command}\``]);
  const machines = [...new Set(records.map(({ machine }) => machine))];
  return `# Benchmarks

Written by \`npm run bench\`; \`npm run bench -- --only NAME\` measures one case again and
keeps the rows of the others. Ratios compare medians of one run: both sides took turns on the same
machine and the same filesystem. Absolute times say how the machine was, no more: the last column is
its load average when the case began, and on a machine that is busy tails say little.

${machines.map((machine) => `Machine: ${machine}`).join('\n\n')}

${asTable([...HEAD, 'measured', 'load'], lines)}

The command of each case:

${asTable(['case', 'measured (UTC)', 'command'], cases)}

## The service under load

\`npm run load\` with a generator beside it on the same machine; begins are whole requests at the
client. To reach, at 50,000 sessions: begin p99 <= 12 ms, RSS <= 150 MB, CPU <= 0.30 cores,
0 errors, 0 lost or doubled.
[load.md](load.md) has the workload, the commands, all figures and what gives first.

${load}

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

Raw samples are in \`.bench/\`, one JSON file a run; what the table shows is in benchmarks.json.
`;
}

export function describeMachine(): string {
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
