/**
 * House rules that a formatter does not know. Each message names what to write instead.
 *
 * The rules look at text, not at a syntax tree: they are meant to be understood at a glance, and to be
 * right for this code base. Generated and foreign files are not looked at.
 */
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const ROOT = `${import.meta.dirname}/../..`;
const FILE_LINES_MAX = 600;
const FUNCTION_LINES_MAX = 70;
const LINE_COLUMNS_MAX = 100;
/** Prose in a comment is not code: a sentence may run on a little. */
const COMMENT_COLUMNS_MAX = 120;

interface SourceFile {
  readonly path: string;
  readonly lines: readonly string[];
}

function read(...patterns: readonly string[]): SourceFile[] {
  return patterns
    .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
    .sort()
    .map((path) => ({ path, lines: readFileSync(`${ROOT}/${path}`, 'utf8').split('\n') }));
}

const source = read('src/**/*.ts');
const everything = [
  ...source,
  ...read('test/**/*.ts', 'test/**/*.py', 'bench/**/*.{ts,c}', 'scripts/*', '.ci/run', '*.ts'),
];

/** Every finding as `path:line: text`, so that an editor jumps there. */
function findLines(
  files: readonly SourceFile[],
  isBad: (line: string, index: number, file: SourceFile) => boolean,
): string[] {
  return files.flatMap((file) =>
    file.lines.flatMap((line, index) =>
      isBad(line, index, file) ? [`${file.path}:${index + 1}: ${line.trim()}`] : [],
    ),
  );
}

describe('the code base', () => {
  test('is seen by these rules', () => {
    expect(source.length).toBeGreaterThan(30);
    expect(everything.length).toBeGreaterThan(source.length);
  });

  test(`has no file over ${FILE_LINES_MAX} lines: split it by concept`, () => {
    const long = everything.filter(({ lines }) => lines.length > FILE_LINES_MAX + 1);
    expect(long.map(({ path, lines }) => `${path}: ${lines.length} lines`)).toEqual([]);
  });

  test(`has no line over ${LINE_COLUMNS_MAX} columns: break it, or name a part of it`, () => {
    const isLong = (line: string): boolean =>
      line.length > (codeOf(line) === '' ? COMMENT_COLUMNS_MAX : LINE_COLUMNS_MAX);
    // A URL, or one long text: a message that is cut in two can not be searched for.
    const isUnbreakable = /https?:\/\/|(['"`]).{60,}\1/;
    expect(findLines(everything, (line) => isLong(line) && !isUnbreakable.test(line))).toEqual([]);
  });

  test(`has no function over ${FUNCTION_LINES_MAX} lines: give a step of it a name`, () => {
    expect(source.flatMap(longFunctions)).toEqual([]);
  });

  test('names files after their concept, not utils, helpers, common, misc or types', () => {
    const banned = /^(utils?|helpers?|common|misc|types?|shared|stuff)([-.].*)?\.ts$/;
    const paths = everything.map(({ path }) => path).filter((path) => path.endsWith('.ts'));
    expect(paths.filter((path) => banned.test(basename(path)))).toEqual([]);
    const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.ts$/;
    expect(paths.filter((path) => !kebab.test(basename(path)))).toEqual([]);
  });

  test('opens every source file with what it is: a block comment', () => {
    expect(source.filter(({ lines }) => !lines[0]?.startsWith('/**')).map((f) => f.path)).toEqual(
      [],
    );
  });

  test('has no `any`: write unknown and narrow it, or name the shape', () => {
    expect(findLines(source, (line) => /(:|as|<|,) ?any\b(?!\w)/.test(codeOf(line)))).toEqual([]);
  });

  test('swallows no error: say in the catch block why it is safe to go on', () => {
    const isEmpty = (line: string, index: number, file: SourceFile): boolean =>
      /catch( \(\w+\))? \{\s*\}/.test(line) ||
      (/catch( \(\w+\))? \{$/.test(line) && file.lines[index + 1]?.trim() === '}');
    expect(findLines(everything, isEmpty)).toEqual([]);
  });

  test('has no enum, namespace or decorator: types are erased, nothing is generated', () => {
    expect(findLines(source, (l) => /^\s*(export )?(const )?(enum|namespace) \w/.test(l))).toEqual(
      [],
    );
  });

  test('has no rest of work in it: finish it, or leave it out', () => {
    // Put together here, so that this file does not find itself.
    const marks = new RegExp(`\\b(${['TO', 'DO'].join('')}|${['FIX', 'ME'].join('')})\\b`);
    expect(findLines(everything, (line) => marks.test(line))).toEqual([]);
  });
});

describe('the core', () => {
  const core = source.filter(({ path }) => path.startsWith('src/core/'));

  test('imports nothing from outside: hand values in instead', () => {
    const imports = findLines(core, (line) => {
      const specifier = /from '([^']+)'/.exec(line)?.[1];
      return specifier !== undefined && !/^(\.\/|\.\.\/)[\w./-]+\.ts$/.test(specifier);
    });
    expect(imports).toEqual([]);
    const leaving = findLines(
      core,
      (line, _, { path }) =>
        /from '\.\.\//.test(line) && !/\/core\/(retention|policy)\//.test(path),
    );
    expect(leaving).toEqual([]);
  });

  test('asks no clock and no randomness: both come in as values', () => {
    const banned =
      /\bnew Date\b|\bDate\.|\bMath\.random\b|\bperformance\.|\bprocess\.|\bsetTimeout\b/;
    expect(findLines(core, (line) => banned.test(codeOf(line)))).toEqual([]);
  });
});

describe('the tests', () => {
  const tests = read('test/**/*.test.ts');

  test('neither skip nor wait: meet the condition, or fail and say what is missing', () => {
    const skipping = ['.skip(', '.todo(', '.only(', 'skipIf(', 'runIf('];
    const found = findLines(tests, (line, _, { path }) => {
      if (path.includes('/tidy/')) return false;
      return skipping.some((word) => line.includes(word)) || /\bsetTimeout\(/.test(line);
    });
    expect(found).toEqual([]);
  });
});

/** The line without strings and comments, well enough for these rules. */
function codeOf(line: string): string {
  const text = line.trim();
  if (text.startsWith('*') || text.startsWith('//') || text.startsWith('/*')) return '';
  if (/^#( |!)/.test(text)) return '';
  return text.replace(/'(?:[^'\\]|\\.)*'|`[^`]*`|"[^"]*"/g, "''").replace(/\/\/.*$/, '');
}

/** Functions by their own lines: those of functions inside count for these. */
function longFunctions({ path, lines }: SourceFile): string[] {
  const found: string[] = [];
  const tree = ts.createSourceFile(path, lines.join('\n'), ts.ScriptTarget.ES2024);
  const lineOf = (position: number): number => tree.getLineAndCharacterOfPosition(position).line;
  /** Lines of functions that lie within `node`. */
  const visit = (node: ts.Node): number => {
    let nested = 0;
    ts.forEachChild(node, (child) => {
      nested += visit(child);
    });
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return nested;
    const start = lineOf(node.getStart(tree));
    const length = lineOf(node.end) - start + 1;
    if (length - nested > FUNCTION_LINES_MAX) {
      found.push(`${path}:${start + 1}: ${length - nested} lines`);
    }
    return length;
  };
  visit(tree);
  return found;
}
