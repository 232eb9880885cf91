/**
 * A shell line as simple commands, well enough to recognise what a command is. Not a shell: nothing is
 * expanded, and what is not understood is kept as a word. One pass, linear in the line's length.
 */

export interface SimpleCommand {
  readonly words: readonly string[];
  /** Files that `>` (not `>>`) would empty. */
  readonly overwrites: readonly string[];
}

const BLANKS = ' \t\r';
/** What ends one command and begins another; brackets and `$(` begin one as well. */
const SEPARATORS = '\n;&|(){}`';

export function splitCommands(line: string): readonly SimpleCommand[] {
  const commands: SimpleCommand[] = [];
  let words: string[] = [];
  let overwrites: string[] = [];
  let word: string | null = null;
  let next: 'word' | 'overwritten' | 'passed' = 'word';
  const endWord = (): void => {
    if (word === null) return;
    if (next === 'word') words.push(word);
    else if (next === 'overwritten' && !isHarmlessTarget(word)) overwrites.push(word);
    word = null;
    next = 'word';
  };
  const endCommand = (): void => {
    endWord();
    if (words.length > 0 || overwrites.length > 0) commands.push({ words, overwrites });
    words = [];
    overwrites = [];
  };
  for (let i = 0; i < line.length; i += 1) {
    const character = line.charAt(i);
    if (character === "'" || character === '"') {
      const end = endOfQuote(line, i);
      word = (word ?? '') + line.slice(i + 1, end);
      i = end;
    } else if (character === '\\') {
      word = (word ?? '') + line.charAt(i + 1);
      i += 1;
    } else if (character === '>' || character === '<') {
      // `2>` and `&>`: what stands before belongs to the redirection.
      if (word !== null && /^\d$/.test(word)) word = null;
      endWord();
      const isAppending = line[i + 1] === '>' || line[i + 1] === '&' || character === '<';
      if (line[i + 1] === '>' || line[i + 1] === '|' || line[i + 1] === '&') i += 1;
      next = isAppending ? 'passed' : 'overwritten';
    } else if (BLANKS.includes(character)) endWord();
    else if (character === '&' && line[i + 1] === '>') endWord();
    else if (SEPARATORS.includes(character)) endCommand();
    else if (character === '#' && word === null) {
      const end = line.indexOf('\n', i);
      i = end < 0 ? line.length : end - 1;
    } else word = (word ?? '') + character;
  }
  endCommand();
  return commands;
}

/** Where the quote that opens at `start` closes; the end of the line when it does not. */
function endOfQuote(line: string, start: number): number {
  const quote = line[start];
  for (let i = start + 1; i < line.length; i += 1) {
    if (line[i] === '\\' && quote === '"') i += 1;
    else if (line[i] === quote) return i;
  }
  return line.length;
}

function isHarmlessTarget(target: string): boolean {
  return /^\/dev\/(null|stdout|stderr|tty|fd\/\d+)$/.test(target);
}
