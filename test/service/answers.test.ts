import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpenedAnswers, openAnswers } from '../../src/service/sqlite-answers.ts';

const CHILD = join(import.meta.dirname, 'answers-child.ts');
let directory = '';
let file = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ghostsnap-answers-'));
  file = join(directory, 'service', 'answers.db');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const answer = (request: string, atMs: number) => ({ request, fingerprint: 'f', body: '{}', atMs });

/** What is found under another opening: the first answer's time, and why there may be none. */
function reopened(bootId: string): { readonly atMs: number | null; readonly why: string | null } {
  const { answers, forgotten } = openAnswers({ file, bootId });
  using opened = answers;
  return { atMs: opened.answer('a')?.atMs ?? null, why: forgotten };
}

function keepAndClose(bootId: string): void {
  using answers = openAnswers({ file, bootId }).answers;
  answers.keepAnswers([answer('a', 10)]);
}

describe('kept answers', () => {
  it('are the newest of a key, and old ones and those beyond the bound are forgotten', () => {
    const { answers, forgotten }: OpenedAnswers = openAnswers({ file, bootId: 'one' });
    using opened = answers;
    expect(forgotten).toBeNull();
    opened.keepAnswers([answer('a', 5), answer('a', 10), answer('b', 20)]);
    expect(opened.answer('a')).toEqual(answer('a', 10));
    opened.forgetAnswers(15, 100);
    expect([opened.answer('a'), opened.answer('b')?.atMs]).toEqual([null, 20]);
    opened.keepAnswers(['c', 'd', 'e'].map((name) => answer(name, 40)));
    opened.forgetAnswers(0, 2);
    const left = ['b', 'c', 'd', 'e'].map((name) => opened.answer(name) !== null);
    expect(left).toEqual([false, false, true, true]);
  });

  it('survive the process, killed or closed, and a start of the machine after a close', () => {
    expect(spawnSync(process.execPath, [CHILD, file, 'one']).signal).toBe('SIGKILL');
    expect(reopened('one')).toEqual({ atMs: 10, why: null });
    expect(reopened('two')).toEqual({ atMs: 10, why: null });
  });

  it('are not believed when the machine went down under them: nothing of them was synced', () => {
    spawnSync(process.execPath, [CHILD, file, 'one']);
    expect(reopened('two')).toEqual({ atMs: null, why: 'the machine went down under them' });
    expect(reopened('two')).toEqual({ atMs: null, why: null });
  });

  it.each([
    ['no database', () => writeFileSync(file, 'x'.repeat(5000))],
    ['cut off', () => truncateSync(file, 5000)],
  ])('begin anew in a file that is %s', (_, damage) => {
    keepAndClose('one');
    damage();
    expect(reopened('one')).toEqual({
      atMs: null,
      why: expect.stringMatching(/^they are not readable: /),
    });
    keepAndClose('one');
    expect(reopened('one').atMs).toBe(10);
  });

  it('say where they cannot be kept', () => {
    writeFileSync(join(directory, 'service'), '');
    expect(() => openAnswers({ file, bootId: 'one' })).toThrow(
      expect.objectContaining({ code: 'IO', data: { file } }),
    );
  });
});
