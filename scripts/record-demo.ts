/**
 * Makes docs/demo.svg: twenty seconds of a real session, as a picture that plays in any browser.
 *
 * Each command is run in a fresh workspace below a temporary folder, and what it prints is what is shown.
 * Run it with `node scripts/record-demo.ts` after `npm run build`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const PROGRAM = join(ROOT, 'bin', 'ghostsnap.js');

/** What is typed; `ghostsnap` is the program of this checkout. */
const SESSION = [
  'ghostsnap init .',
  'ghostsnap snap -l "before the agent tidies up"',
  'rm -rf src .env && echo oops > notes.txt',
  'ghostsnap diff @ --name-status',
  'ghostsnap rollback @ --dry-run',
  'ghostsnap rollback @',
  'find . -type f | sort',
  'ghostsnap undo',
  'ghostsnap log',
];

const SECONDS = 20;
const COLUMNS = 92;
const ROWS_SHOWN = 24;
const LINE_PX = 18;
const CHARACTER_PX = 8.4;

interface Line {
  readonly text: string;
  readonly kind: 'command' | 'output';
  /** The command it belongs to, counted from 0. */
  readonly step: number;
}

function runSession(): Line[] {
  const folder = mkdtempSync(join(tmpdir(), 'ghostsnap-recording-'));
  const work = join(folder, 'project');
  mkdirSync(join(work, 'src'), { recursive: true });
  writeFileSync(join(work, 'src', 'main.py'), 'print("hello")\n');
  writeFileSync(join(work, 'src', 'model.py'), 'answer = 42\n');
  writeFileSync(join(work, '.env'), 'TOKEN=secret\n');
  writeFileSync(join(work, 'notes.txt'), 'a week of work\n');
  const lines: Line[] = [];
  try {
    for (const [step, command] of SESSION.entries()) {
      lines.push({ text: `$ ${command}`, kind: 'command', step });
      const shell = `ghostsnap() { '${process.execPath}' '${PROGRAM}' "$@"; }; ${command}`;
      const done = spawnSync('bash', ['-c', `{ ${shell}\n} 2>&1`], {
        cwd: work,
        encoding: 'utf8',
        env: { ...process.env, GHOSTSNAP_HOME: join(folder, 'home'), HOME: folder, NO_COLOR: '1' },
      });
      if (done.status !== 0)
        throw new Error(`${command} ended with ${done.status}: ${done.stdout}`);
      for (const text of done.stdout.trimEnd().split('\n')) {
        if (text === '') continue;
        const shown = text.replaceAll(folder, '~').slice(0, COLUMNS);
        lines.push({ text: shown, kind: 'output', step });
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return lines;
}

function render(lines: readonly Line[]): string {
  const width = Math.ceil(COLUMNS * CHARACTER_PX) + 32;
  const height = ROWS_SHOWN * LINE_PX + 32;
  const seconds = (step: number): number => (step * SECONDS) / SESSION.length;
  const styles: string[] = [];
  const texts = lines.map(({ text, kind, step }, index) => {
    const start = (seconds(step) / SECONDS) * 100;
    const shown = Math.min(start + 0.01, 100).toFixed(2);
    if (kind === 'command' || lines[index - 1]?.kind === 'command') {
      styles.push(
        `@keyframes l${index}{0%,${start.toFixed(2)}%{opacity:0}${shown}%,100%{opacity:1}}`,
      );
    }
    const first = kind === 'command' ? index : firstOutput(lines, index);
    return `<text class="${kind}" x="16" y="${index * LINE_PX}" style="animation-name:l${first}">${escapeXml(text)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="A ghostsnap session in a terminal">
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre;fill:#c9d1d9;
animation-duration:${SECONDS}s;animation-iteration-count:infinite;
animation-timing-function:step-end}
.command{fill:#7ee787;font-weight:600}
#screen{animation:scroll ${SECONDS}s step-end infinite}
${styles.join('\n')}
${scrollFrames(lines, seconds)}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<svg y="16" height="${ROWS_SHOWN * LINE_PX}"><g id="screen"><g transform="translate(0 14)">
${texts.join('\n')}
</g></g></svg>
</svg>
`;
}

/** Index of the first output line of the command that the line at `index` belongs to. */
function firstOutput(lines: readonly Line[], index: number): number {
  let at = index;
  while (lines[at - 1]?.kind === 'output') at -= 1;
  return at;
}

/** When a command's output would leave the screen below, everything moves up. */
function scrollFrames(lines: readonly Line[], seconds: (step: number) => number): string {
  const frames = SESSION.map((_, step) => {
    const last = lines.findLastIndex((line) => line.step <= step) + 1;
    const up = Math.max(0, last - ROWS_SHOWN) * LINE_PX;
    const from = ((seconds(step) / SECONDS) * 100).toFixed(2);
    return `${from}%{transform:translateY(-${up}px)}`;
  });
  return `@keyframes scroll{${frames.join('')}}`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

writeFileSync(join(ROOT, 'docs', 'demo.svg'), render(runSession()));
