/** What a harness's file held before it is changed is kept whole or not at all, and then nothing is changed. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { changeHooks } from '../prove/operations.ts';

it('where there is no room for it, the file stays as it is; with room it is kept whole', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ghostsnap-kept-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=192k', 'ghostsnap', folder]);
  try {
    const environment = { env: {}, cwd: folder, homeDir: folder, uid: 0 };
    mkdirSync(join(folder, '.claude'));
    const file = join(folder, '.claude', 'settings.json');
    const before = JSON.stringify({ model: 'opus', note: 'x'.repeat(50_000) });
    writeFileSync(file, before);
    const filler = join(folder, 'filler');
    writeFileSync(filler, Buffer.alloc(100_000));
    expect(() => changeHooks('hook-install', 'claude-code', environment)).toThrow('ENOSPC');
    expect(readFileSync(file, 'utf8')).toBe(before);
    rmSync(filler);
    changeHooks('hook-install', 'claude-code', environment);
    expect(readFileSync(`${file}.before-ghostsnap`, 'utf8')).toBe(before);
    expect(readdirSync(join(folder, '.claude')).sort()).toEqual([
      'settings.json',
      'settings.json.before-ghostsnap',
    ]);
  } finally {
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  }
});
