/**
 * Every verb: its one-line summary, its place in the help, and how to load it.
 *
 * Only the verb that is asked for is loaded, so that a snapshot does not pay for a diff library.
 * The table is what `--help`, suggestions for mistyped verbs and shell completion know.
 */
import type { CommandModule } from './cli-context.ts';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  readonly load: () => Promise<{ readonly command: CommandModule }>;
}

const SNAPSHOTS = 'Snapshots:';
const GOING_BACK = 'Going back:';
const KEEPING = 'Keeping:';
const SETTING_UP = 'Setting up:';
const AGENTS = 'Agents:';
const MENDING = 'Looking after it:';

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'init',
    summary: 'make a directory a workspace',
    group: SETTING_UP,
    load: () => import('./commands/init.ts'),
  },
  {
    name: 'pool',
    summary: 'create, list, mount and destroy pools',
    group: SETTING_UP,
    load: () => import('./commands/pool.ts'),
  },
  {
    name: 'destroy',
    summary: 'turn a workspace back into a plain directory',
    group: SETTING_UP,
    load: () => import('./commands/destroy.ts'),
  },
  {
    name: 'completion',
    summary: 'print the completion script for a shell',
    group: SETTING_UP,
    load: () => import('./commands/completion.ts'),
  },
  {
    name: 'status',
    summary: 'show the workspace, its pool and what is not covered',
    group: SNAPSHOTS,
    load: () => import('./commands/status.ts'),
  },
  {
    name: 'snap',
    summary: 'take a snapshot and print its id',
    group: SNAPSHOTS,
    load: () => import('./commands/snap.ts'),
  },
  {
    name: 'run',
    summary: 'take a snapshot, run a command, show what it changed',
    group: SNAPSHOTS,
    load: () => import('./commands/run.ts'),
  },
  {
    name: 'log',
    summary: 'list what happened: sessions, tool calls, snapshots',
    group: SNAPSHOTS,
    load: () => import('./commands/log.ts'),
  },
  {
    name: 'show',
    summary: 'show one snapshot',
    group: SNAPSHOTS,
    load: () => import('./commands/show.ts'),
  },
  {
    name: 'diff',
    summary: 'show what changed between two snapshots, or since one',
    group: SNAPSHOTS,
    load: () => import('./commands/diff.ts'),
  },
  {
    name: 'blame',
    summary: 'show which tool call last wrote each line of a file',
    group: SNAPSHOTS,
    load: () => import('./commands/blame.ts'),
  },
  {
    name: 'label',
    summary: 'name a snapshot',
    group: SNAPSHOTS,
    load: () => import('./commands/label.ts'),
  },
  {
    name: 'mcp',
    summary: 'serve snapshots to an agent over MCP',
    group: AGENTS,
    load: () => import('./commands/mcp.ts'),
  },
  {
    name: 'mcp-proxy',
    summary: 'put a snapshot before each tool of an MCP server',
    group: AGENTS,
    load: () => import('./commands/mcp-proxy.ts'),
  },
  {
    name: 'rollback',
    summary: 'turn the whole workspace back to a snapshot',
    group: GOING_BACK,
    load: () => import('./commands/rollback.ts'),
  },
  {
    name: 'restore',
    summary: 'bring single paths back from a snapshot',
    group: GOING_BACK,
    load: () => import('./commands/restore.ts'),
  },
  {
    name: 'undo',
    summary: 'go one state back',
    group: GOING_BACK,
    load: () => import('./commands/undo.ts'),
  },
  {
    name: 'undo-call',
    summary: 'take one tool call back and keep what came later',
    group: GOING_BACK,
    load: () => import('./commands/undo-call.ts'),
  },
  {
    name: 'bisect',
    summary: 'find the tool call that broke something',
    group: GOING_BACK,
    load: () => import('./commands/bisect.ts'),
  },
  {
    name: 'redo',
    summary: 'take an undo back',
    group: GOING_BACK,
    load: () => import('./commands/redo.ts'),
  },
  {
    name: 'pin',
    summary: 'keep a snapshot whatever the retention rules say',
    group: KEEPING,
    load: () => import('./commands/pin.ts'),
  },
  {
    name: 'unpin',
    summary: 'let the retention rules decide again',
    group: KEEPING,
    load: () => import('./commands/unpin.ts'),
  },
  {
    name: 'prune',
    summary: 'delete snapshots by the retention rules, or named ones',
    group: KEEPING,
    load: () => import('./commands/prune.ts'),
  },
  {
    name: 'policy',
    summary: 'check the policy, and say what it thinks of a tool call',
    group: MENDING,
    load: () => import('./commands/policy.ts'),
  },
  {
    name: 'hook',
    summary: 'connect agents, so that each of their tool calls has a snapshot',
    group: AGENTS,
    load: () => import('./commands/hook.ts'),
  },
  {
    name: 'serve',
    summary: 'serve workspaces to agent platforms',
    group: AGENTS,
    load: () => import('./commands/serve.ts'),
  },
  {
    name: 'daemon',
    summary: 'start, stop and look at the process that serves hooks',
    group: AGENTS,
    load: () => import('./commands/daemon.ts'),
  },
  {
    name: 'cert',
    summary: 'issue and revoke certificates for a service and its clients',
    group: SETTING_UP,
    load: () => import('./commands/cert.ts'),
  },
  {
    name: 'doctor',
    summary: 'say what works on this machine and what is missing',
    group: MENDING,
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'recover',
    summary: 'make the list of snapshots agree with the disk again',
    group: MENDING,
    load: () => import('./commands/recover.ts'),
  },
  {
    name: 'demo',
    summary: 'destroy a copy of a real project and bring it back',
    group: MENDING,
    load: () => import('./commands/demo.ts'),
  },
];
