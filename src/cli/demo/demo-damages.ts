/**
 * What a confused agent does to a project: real commands, run by a real shell in the copy.
 *
 * The commands name what is really there, so that they destroy something in any project. Names go
 * to the shell as arguments ($1, $2), never inside its text.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

export interface Damage {
  /** As a person would type it. */
  readonly title: string;
  readonly script: string;
  readonly names: readonly string[];
  readonly needsGit: boolean;
}

/** The directory and the file of the project that suffer most. */
export interface Victims {
  readonly directory: string;
  readonly file: string;
}

/** null when the project has no file or no directory at its top. */
export function pickVictims(root: string): Victims | null {
  const entries = readdirSync(root, { withFileTypes: true }).filter((one) => one.name !== '.git');
  const preferred = (names: readonly string[], found: readonly string[]): string | undefined =>
    names.find((name) => found.includes(name)) ?? found[0];
  const files = entries.filter((one) => one.isFile()).map((one) => one.name);
  const directories = entries.filter((one) => one.isDirectory()).map((one) => one.name);
  const file = preferred(['package.json', 'README.md', 'Makefile'], files);
  const directory = preferred(['src', 'lib', 'app', 'docs'], directories);
  return file === undefined || directory === undefined ? null : { directory, file };
}

/**
 * @param closing the mode of `chmod -R`: 000, or 500 where what its owner has closed even to itself
 *   could not be read again
 */
export function listDamages(
  { directory, file }: Victims,
  closing: '000' | '500',
): readonly Damage[] {
  const shell = (title: string, script: string, ...names: readonly string[]): Damage => ({
    title,
    script,
    names,
    needsGit: false,
  });
  const git = (title: string, script: string): Damage => ({
    title,
    script,
    names: [],
    needsGit: true,
  });
  return [
    shell(`rm -rf ${directory}`, 'rm -rf -- "$1"', directory),
    git('git clean -fdx', 'git -c core.hooksPath=/dev/null clean -fdxq'),
    git('git reset --hard', 'git -c core.hooksPath=/dev/null reset --hard -q'),
    shell(
      `truncate -s 0 (every file in ${directory})`,
      'find "./$1" -type f -exec truncate -s 0 {} +',
      directory,
    ),
    shell(`chmod -R ${closing} ${directory}`, 'chmod -R "$2" -- "$1"', directory, closing),
    shell(
      `rm ${file} && mkdir ${file}`,
      'rm -- "$1" && mkdir -- "$1" && echo lost > "$1/index"',
      file,
    ),
    wipe(),
  ];
}

/** All at once: where a swap pays. */
export function wipe(): Damage {
  const script = 'find . -mindepth 1 -maxdepth 1 -exec rm -rf {} +';
  return { title: 'rm -rf everything', script, names: [], needsGit: false };
}

/** The files that git does not have: what most tools lose. Relative path and content. */
export function preciousFiles(): readonly (readonly [path: string, content: string])[] {
  return [
    ['.env', 'API_KEY=the-only-copy\n'],
    [join('notes (not in git)', 'Gr\u00fc\u00dfe.md'), 'A week of thinking.\n'],
  ];
}
