/**
 * Running a program that is killed, or whose call fails, at its Nth system call: c/inject.c, compiled on
 * first use.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Counted between these, which the program makes around what is tried. */
const MARKS = { begin: 424_242, end: 424_243 } as const;

/** Which calls count: what lasts; also what only reads; only what takes a descriptor. */
export type CallClass = 'change' | 'any' | 'create';

export type CallCounts = Readonly<Record<CallClass, number>>;

export type Injection =
  | { readonly mode: 'count' }
  | { readonly mode: 'kill'; readonly nth: number; readonly class: CallClass }
  | {
      readonly mode: 'fail';
      readonly nth: number;
      readonly class: CallClass;
      readonly errno: keyof typeof ERRNOS;
    };

export const ERRNOS = { EINTR: 4, EIO: 5, EACCES: 13, EXDEV: 18, EMFILE: 24, ENOSPC: 28 } as const;

export interface Injected {
  /** What the program wrote to its output. */
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
  /** Calls between the marks. */
  readonly counted: CallCounts;
  /** The call that was hit, `number path`; null: there were fewer. */
  readonly hit: string | null;
}

/** Called by the program that is tried. */
export function mark(which: keyof typeof MARKS): void {
  try {
    getPriority(MARKS[which]);
  } catch {
    // There is no such process, and only the tracer was meant to hear of it.
  }
}

export class Injector implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ghostsnap-inject-'));
  readonly #tool = join(this.#folder, 'inject');

  constructor() {
    const source = join(import.meta.dirname, 'c', 'inject.c');
    execFileSync('gcc', ['-O2', '-Wall', '-o', this.#tool, source], { stdio: 'pipe' });
  }

  async run(injection: Injection, script: string, argument: unknown): Promise<Injected> {
    const log = join(this.#folder, 'log');
    const { nth, errno, kind } = parametersOf(injection);
    const child = spawn(
      this.#tool,
      [
        ...[injection.mode, `${nth}`, `${errno}`, kind, log, '--'],
        ...[process.execPath, script, JSON.stringify(argument)],
      ],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        cwd: '/',
        // Most of what a try costs is its start: what it runs is compiled for all tries once.
        env: { ...process.env, NODE_COMPILE_CACHE: join(this.#folder, 'compiled') },
      },
    );
    const [stdout, stderr, [status]] = await Promise.all([
      textOf(child.stdout),
      textOf(child.stderr),
      once(child, 'exit') as Promise<[number | null]>,
    ]);
    const fields = readFileSync(log, 'utf8').trim().split(' ');
    const [change, any, create, call = '-1', ...path] = fields;
    const counted = { change: Number(change), any: Number(any), create: Number(create) };
    const hit = call === '-1' ? null : `${call} ${path.join(' ')}`;
    return { stdout, stderr, status: status ?? 99, counted, hit };
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

function parametersOf(injection: Injection): { nth: number; errno: number; kind: CallClass } {
  if (injection.mode === 'count') return { nth: 0, errno: 0, kind: 'change' };
  const errno = injection.mode === 'fail' ? ERRNOS[injection.errno] : 0;
  return { nth: injection.nth, errno, kind: injection.class };
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}
