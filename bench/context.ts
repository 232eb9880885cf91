/**
 * What a benchmark is handed: the C programs, the size of things, and a way to start a process of its
 * own (for memory, threads and privileges, which one process can only have once).
 */
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import ts from 'typescript';
import type { CPrograms } from './c-programs.ts';
import type { Row } from './measure.ts';
import type { Place } from './place.ts';

export type Size = 'quick' | 'normal' | 'full';

export interface BenchContext {
  readonly c: CPrograms;
  readonly size: Size;
}

export interface BenchCase {
  readonly name: string;
  /** Needs root for a btrfs image; left out, and said so, without. */
  readonly needs: 'root' | 'nothing';
  readonly run: (context: BenchContext) => Promise<readonly Row[]>;
}

/** Files of the large tree; 100,000 unless the run is quick. */
export function largeTree(context: BenchContext): number {
  return context.size === 'quick' ? 10_000 : 100_000;
}

export interface ChildOptions {
  readonly nodeFlags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
}

const OUTPUT_BYTES_MAX = 1 << 28;

const ROOT = join(import.meta.dirname, '..');
const CHILD_OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
};
const STRIPPED = join(ROOT, '.bench', 'js');

/**
 * Children run on the built program, as users do: the type stripper alone would take tens of megabytes
 * and a tenth of a second of each. `npm run build` comes first.
 */
export function stripChildren(): void {
  for (const file of globSync('bench/{*,child/*,load/*}.ts', { cwd: ROOT })) {
    const source = readFileSync(join(ROOT, file), 'utf8');
    const stripped = ts
      .transpileModule(source, { compilerOptions: CHILD_OPTIONS })
      .outputText.replaceAll(/from '(?:\.\.\/)+src\/([^']+)\.ts'/g, `from '${ROOT}/dist/$1.js'`)
      .replaceAll(/from '(\.[^']+)\.ts'/g, "from '$1.js'");
    const target = join(STRIPPED, dirname(file), `${basename(file, '.ts')}.js`);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, stripped);
  }
}

/** Runs bench/child/NAME.ts with a JSON argument and gives back the JSON it prints. */
export function runChild<T>(name: string, argument: unknown, options: ChildOptions = {}): T {
  const script = join(STRIPPED, 'bench', 'child', `${name}.js`);
  const flags = options.nodeFlags ?? [];
  const text = execFileSync(process.execPath, [...flags, script, JSON.stringify(argument)], {
    encoding: 'utf8',
    env: { ...process.env, ...options.env },
    maxBuffer: OUTPUT_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  return JSON.parse(text) as T;
}

/** Turns of a kind that take long: fewer when the run is quick. */
export function rounds(context: BenchContext, normal: number): number {
  return context.size === 'quick' ? Math.max(3, Math.ceil(normal / 3)) : normal;
}

export function homeOf(place: Place): string {
  return place.environment.env.GHOSTSNAP_HOME ?? '';
}
