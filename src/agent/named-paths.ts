/**
 * Paths that a tool's input names: whole values, and words of command lines and patches. Pure.
 *
 * A guess to the safe side: what is taken for a path and is none leads to no workspace. What a command works out by
 * itself (variables, what a script does, names without a slash) is not seen.
 */
import path from 'node:path';

export interface NamedFrom {
  /** Where the agent stands; absolute. */
  readonly directory: string;
  /** Absolute; '' when nobody knows it. */
  readonly homeDir: string;
}

/** A call that names more is about a tree and not about paths. */
const PATHS_MAX = 32;
const TEXT_LENGTH_MAX = 65_536;
const PATH_LENGTH_MAX = 4096;
const DEPTH_MAX = 6;
const VALUES_MAX = 512;

/** Of these every word counts, however long the text is; of any other text only the whole of it. */
const COMMAND_KEYS: ReadonlySet<string> = new Set(['command', 'cmd', 'script', 'patch', 'input']);

const WORDS = /(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'";|&<>()`\\])+/gs;

/** Absolute and normalised, each once. */
export function namedPaths(input: unknown, from: NamedFrom): readonly string[] {
  const found = new Set<string>();
  let left = VALUES_MAX;
  const add = (text: string): void => {
    const named = pathOf(text, from);
    if (named !== null && found.size < PATHS_MAX) found.add(named);
  };
  const visit = (value: unknown, key: string, depth: number): void => {
    left -= 1;
    if (left < 0 || depth > DEPTH_MAX) return;
    if (typeof value === 'string') {
      add(value);
      if (COMMAND_KEYS.has(key)) for (const word of wordsOf(value)) add(word);
    } else if (Array.isArray(value)) {
      for (const one of value) visit(one, key, depth + 1);
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, field] of Object.entries(value)) visit(field, name, depth + 1);
    }
  };
  visit(input, 'command', 0);
  return [...found];
}

/** A quoted word with blanks in it may be a path, or a command line for another shell. */
function wordsOf(line: string): readonly string[] {
  const words: string[] = [];
  for (const [raw] of line.slice(0, TEXT_LENGTH_MAX).matchAll(WORDS)) {
    const word = raw.replace(/'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/gs, '$1$2$3');
    words.push(word);
    const equals = word.indexOf('=');
    if (equals > 0) words.push(word.slice(equals + 1));
    if (/\s/.test(word) && word.length < line.length) words.push(...word.split(/[\s;|&<>()`'"]+/));
  }
  return words;
}

/** null: it is none, as far as anybody can tell. */
function pathOf(text: string, { directory, homeDir }: NamedFrom): string | null {
  if (text.length > PATH_LENGTH_MAX || text.includes('\0') || text.includes('\n')) return null;
  if (!text.includes('/') && text !== '..' && text !== '~') return null;
  if (text.startsWith('file:///')) return path.resolve(text.slice('file://'.length));
  const home = /^(?:~|\$HOME|\$\{HOME\})(?=\/|$)/.exec(text);
  if (home === null) return path.resolve(directory, text);
  return homeDir === '' ? null : path.join(homeDir, text.slice(home[0].length));
}
