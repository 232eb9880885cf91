/** Where the program keeps what Node has compiled: code that runs must lie where only its user writes. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../bin/ghostsnap.js', import.meta.url));

let temporary: string;
let folder: string;

beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'ghostsnap-compiled-test-'));
  folder = join(temporary, `ghostsnap-compiled-${process.getuid?.()}`);
  onTestFinished(() => rmSync(temporary, { recursive: true }));
});

function start(): string {
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const options = { env: { ...env, TMPDIR: temporary }, encoding: 'utf8' } as const;
  return execFileSync(process.execPath, [PROGRAM, '--version'], options);
}

describe('what Node has compiled', () => {
  it("is kept in a folder of the user's own", () => {
    expect(start()).toMatch(/^\d/);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readdirSync(folder)).not.toEqual([]);
    expect(readdirSync(temporary)).toHaveLength(1);
  });

  it('is not kept where others may write', () => {
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    expect(start()).toMatch(/^\d/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is not kept where a link leads', () => {
    const elsewhere = join(temporary, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, folder);
    expect(start()).toMatch(/^\d/);
    expect(readdirSync(elsewhere)).toEqual([]);
  });
});
