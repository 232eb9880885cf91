/** What a killed writer leaves beside a file is taken away once it is gone, and not before. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeDeadTemporaries, replaceFile } from '../../src/daemon/replace-file.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostsnap-replace-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('removes what dead processes left, and leaves the living and everything else alone', () => {
  const { pid: dead } = spawnSync('true');
  const names = [`a.json.${dead}.tmp`, `b.json.${dead}.tmp`, `a.json.${process.pid}.tmp`, 'c.tmp'];
  for (const name of names) writeFileSync(join(folder, name), 'half a record');
  removeDeadTemporaries(folder, 'a.json');
  expect(readdirSync(folder).sort()).toEqual(names.slice(1).sort());
  removeDeadTemporaries(folder);
  expect(readdirSync(folder).sort()).toEqual(names.slice(2).sort());
});

it('replaces a file whole and leaves nothing beside it', () => {
  const file = join(folder, 'a.json');
  for (const text of ['first', 'second']) replaceFile({ file, text, mode: 0o600, step: 'test' });
  expect(readFileSync(file, 'utf8')).toBe('second');
  expect(readdirSync(folder)).toEqual(['a.json']);
});

it('leaves the old file where there is room for a part of the new one only', () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32k', 'ghostsnap', folder]);
  try {
    const file = join(folder, 'a.json');
    replaceFile({ file, text: 'old', mode: 0o600, step: 'test' });
    const text = 'x'.repeat(100_000);
    expect(() => replaceFile({ file, text, mode: 0o600, step: 'test' })).toThrow('ENOSPC');
    expect(readFileSync(file, 'utf8')).toBe('old');
  } finally {
    execFileSync('umount', [folder]);
  }
});
