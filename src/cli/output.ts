/**
 * Where a command's words go.
 *
 * Results go to standard output, everything else (notes, warnings, progress, questions, errors) to
 * standard error, so that a pipe gets the result and nothing else. Colour is used on a terminal
 * only, per stream, and never with NO_COLOR or a dumb terminal. Nothing here knows what it prints.
 */
import picocolors from 'picocolors';
import { printableLines } from './printable-text.ts';

export type Colors = ReturnType<typeof picocolors.createColors>;

export interface Output {
  /** Colours for standard output and standard error: functions that do nothing off a terminal. */
  readonly colors: Colors;
  readonly noteColors: Colors;
  readonly isTerminal: boolean;
  readonly isNoteTerminal: boolean;
  /** A line of the result. */
  line(text: string): void;
  /** Text of the result as it is. */
  raw(text: string): void;
  /** A result as one line of JSON. */
  json(value: unknown): void;
  /** A line for people. */
  note(text: string): void;
  /** One line of JSON for a program that reads standard error. */
  noteJson(value: unknown): void;
  /** A line that says that something is not as it should be. */
  warn(text: string): void;
}

/** The part of a Node stream that is used. */
export interface TextStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export function createOutput(options: {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}): Output {
  const { stdout, stderr, env } = options;
  const noteColors = picocolors.createColors(usesColor(stderr, env));
  const note = (text: string): void => {
    stderr.write(`${printableLinesKeepingColor(text)}\n`);
  };
  return {
    colors: picocolors.createColors(usesColor(stdout, env)),
    noteColors,
    isTerminal: stdout.isTTY === true,
    isNoteTerminal: stderr.isTTY === true,
    line: (text) => {
      stdout.write(`${text}\n`);
    },
    raw: (text) => {
      stdout.write(text);
    },
    json: (value) => {
      stdout.write(`${JSON.stringify(value)}\n`);
    },
    note,
    noteJson: (value) => {
      stderr.write(`${JSON.stringify(value)}\n`);
    },
    warn: (text) => note(`${noteColors.yellow('warning:')} ${text}`),
  };
}

function usesColor(stream: TextStream, env: Readonly<Record<string, string | undefined>>): boolean {
  const isRefused = (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb';
  return stream.isTTY === true && !isRefused;
}

// Our own colour sequences (ESC [ digits m) pass; any other control character in a note came from
// outside, in a label or a message of the system, and is shown instead of obeyed.
function printableLinesKeepingColor(text: string): string {
  return text
    .split(COLOR_SEQUENCE)
    .map((part, index) => (index % 2 === 0 ? printableLines(part) : part))
    .join('');
}

const COLOR_SEQUENCE = new RegExp(`(${String.fromCharCode(27)}\\[[0-9;]{1,8}m)`);
