/**
 * Recognising commands that usually destroy something, before they run. Advice only: nothing is ever
 * refused because of it, and what is not recognised is no less dangerous. What a call really did is judged
 * afterwards, from the tree.
 */
import { type SimpleCommand, splitCommands } from './shell-words.ts';

export interface Advice {
  /** The command as it was recognised: `rm -rf`, `git reset --hard`. */
  readonly command: string;
  /** What it usually does, one sentence. */
  readonly effect: string;
}

/** Characters of a command line that are looked at. */
const LOOKED_AT_LENGTH = 16_384;
/** `bash -c "sh -c '...'"`: shells within shells that are looked into. */
const NESTING_MAX = 3;

/** What is in `line` that destroys; each kind of command once, in order. */
export function adviseOn(line: string): readonly Advice[] {
  const found = new Map<string, Advice>();
  for (const advice of adviceIn(line.slice(0, LOOKED_AT_LENGTH), 0)) {
    if (!found.has(advice.command)) found.set(advice.command, advice);
  }
  return [...found.values()];
}

function* adviceIn(line: string, depth: number): Generator<Advice> {
  for (const command of splitCommands(line)) {
    const words = withoutPrefix(command.words);
    const inner = innerScript(words);
    if (inner !== null && depth < NESTING_MAX) yield* adviceIn(inner, depth + 1);
    const advice = adviceOn(words);
    if (advice !== null) yield advice;
    yield* overwriteAdvice(command);
  }
}

/** Words that only say how the command behind them runs. */
const PREFIXES = new Set([
  ...['sudo', 'doas', 'env', 'command', 'exec', 'nice', 'nohup', 'time', 'xargs', 'builtin'],
  ...['then', 'do', 'else', 'if', 'while', 'until', '!'],
]);

function withoutPrefix(words: readonly string[]): readonly string[] {
  let start = 0;
  let isPrefixed = false;
  for (; start < words.length; start += 1) {
    const word = words[start] ?? '';
    if (PREFIXES.has(word)) isPrefixed = true;
    else if (!/^[A-Za-z_]\w*=/.test(word) && !(isPrefixed && /^(-|\d+$)/.test(word))) break;
  }
  return words.slice(start);
}

/** The script of `sh -c SCRIPT`; null for everything else. */
function innerScript([program = '', ...args]: readonly string[]): string | null {
  if (!/^(ba|da|z|k)?sh$/.test(nameOf(program))) return null;
  const at = args.findIndex((arg) => /^-[a-z]*c$/.test(arg));
  return at < 0 ? null : (args[at + 1] ?? null);
}

function nameOf(program: string): string {
  return program.slice(program.lastIndexOf('/') + 1);
}

/** By program: what its arguments mean. */
const RECOGNISED: Readonly<Record<string, (args: readonly string[]) => Advice | null>> = {
  rm: (args) =>
    hasFlag(args, 'r', '--recursive') || hasFlag(args, 'R')
      ? { command: 'rm -r', effect: 'It deletes directories with everything in them.' }
      : hasWildcard(args)
        ? { command: 'rm', effect: 'It deletes every file that the pattern matches.' }
        : null,
  git: adviceOnGit,
  find: (args) =>
    args.includes('-delete') || (args.some((arg) => /^-exec(dir)?$/.test(arg)) && runsRm(args))
      ? { command: 'find -delete', effect: 'It deletes every path that it finds.' }
      : null,
  dd: (args) =>
    args.some((arg) => arg.startsWith('of=') && arg !== 'of=/dev/null')
      ? { command: 'dd of=', effect: 'It overwrites its output from the start.' }
      : null,
  shred: () => ({ command: 'shred', effect: 'It overwrites the contents of files.' }),
  truncate: () => ({ command: 'truncate', effect: 'It cuts files off.' }),
  wipefs: () => ({ command: 'wipefs', effect: 'It removes the signatures of a filesystem.' }),
  rsync: (args) =>
    args.some((arg) => arg.startsWith('--delete'))
      ? { command: 'rsync --delete', effect: 'It deletes what the source does not have.' }
      : null,
  chmod: (args) => recursiveAdvice('chmod -R', args, 'It changes permissions below a directory.'),
  chown: (args) => recursiveAdvice('chown -R', args, 'It changes owners below a directory.'),
};

function adviceOn([program = '', ...args]: readonly string[]): Advice | null {
  const name = nameOf(program);
  if (/^mkfs(\.|$)/.test(name)) {
    return { command: 'mkfs', effect: 'It makes a new filesystem where another may be.' };
  }
  return Object.hasOwn(RECOGNISED, name) ? (RECOGNISED[name]?.(args) ?? null) : null;
}

function adviceOnGit(args: readonly string[]): Advice | null {
  const at = args.findIndex((arg, i) => !arg.startsWith('-') && !/^-[Cc]$/.test(args[i - 1] ?? ''));
  const rest = args.slice(at + 1);
  switch (args[at]) {
    case 'reset':
      return rest.includes('--hard')
        ? { command: 'git reset --hard', effect: 'It discards changes that were not committed.' }
        : null;
    case 'clean':
      return hasFlag(rest, 'f', '--force') && !hasFlag(rest, 'n', '--dry-run')
        ? { command: 'git clean -f', effect: 'It deletes files that git does not know.' }
        : null;
    case 'checkout':
      return rest.includes('--') || rest.includes('.') || hasFlag(rest, 'f', '--force')
        ? { command: 'git checkout --', effect: 'It discards changes to files.' }
        : null;
    case 'restore':
      return rest.includes('--staged') && !rest.includes('--worktree')
        ? null
        : { command: 'git restore', effect: 'It discards changes to files.' };
    case 'stash':
      return rest[0] === 'drop' || rest[0] === 'clear'
        ? { command: 'git stash drop', effect: 'It deletes stashed changes.' }
        : null;
    default:
      return null;
  }
}

function* overwriteAdvice({ overwrites }: SimpleCommand): Generator<Advice> {
  if (overwrites.length > 0) {
    yield { command: '>', effect: 'It empties the file before anything is written to it.' };
  }
}

function recursiveAdvice(command: string, args: readonly string[], effect: string): Advice | null {
  return hasFlag(args, 'R', '--recursive') ? { command, effect } : null;
}

/** `-rf` holds `r`; nothing after `--` is a flag. */
function hasFlag(args: readonly string[], short: string, long?: string): boolean {
  const end = args.indexOf('--');
  const flags = end < 0 ? args : args.slice(0, end);
  return flags.some((arg) => arg === long || (/^-[A-Za-z]+$/.test(arg) && arg.includes(short)));
}

function hasWildcard(args: readonly string[]): boolean {
  return args.some((arg) => /[*?[]/.test(arg));
}

function runsRm(args: readonly string[]): boolean {
  return args.some((arg) => /^(.*\/)?(rm|shred|unlink)$/.test(arg));
}
