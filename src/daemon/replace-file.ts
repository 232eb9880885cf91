/**
 * Replacing a small file whole: written beside its place, synced, renamed over it, and the directory synced.
 * After a crash there is the old file or the new one.
 *
 * What a killed process leaves beside it, `<name>.<pid>.tmp`, is nobody's once that process is gone;
 * `removeDeadTemporaries` takes it away. Who shares the directory from another process namespace looks gone
 * as well: so a writer whose temporary file was taken away writes it once more.
 */
import fs from 'node:fs';
import path from 'node:path';
import { namesIfThere } from '../backend/if-there.ts';
import { sayStep } from '../backend/labelled-step.ts';
import { errnoOf } from '../backend/syscall-failure.ts';

const ATTEMPTS_MAX = 2;

export interface Replacement {
  readonly file: string;
  readonly text: string;
  readonly mode: number;
  /** What the labels of its steps begin with: `record` gives `record:written`. */
  readonly step: string;
}

/** Its directory is there. @throws what the system call says; the old file is still there then */
export function replaceFile({ file, text, mode, step }: Replacement): void {
  const temporary = `${file}.${process.pid}.tmp`;
  for (let attempt = 1; ; attempt += 1) {
    writeDurably(temporary, text, mode);
    sayStep(`${step}:written`);
    try {
      fs.renameSync(temporary, file);
      break;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || attempt >= ATTEMPTS_MAX) throw error;
    }
  }
  sayStep(`${step}:named`);
  syncDirectory(path.dirname(file));
}

function writeDurably(file: string, text: string, mode: number): void {
  const fd = fs.openSync(file, 'w', mode);
  try {
    // One write may end short of room without an error: this goes on until it is told of one.
    fs.writeFileSync(fd, text);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

export function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * @param name only those of this file; default: of every file in the directory
 * @throws GhostsnapError NOT_PERMITTED, IO when the directory can't be read
 */
export function removeDeadTemporaries(directory: string, name?: string): void {
  for (const found of namesIfThere(directory)) {
    const [, of = '', pid = ''] = /^(.+)\.([0-9]+)\.tmp$/.exec(found) ?? [];
    if (of === '' || (name !== undefined && of !== name) || isAlive(Number(pid))) continue;
    fs.rmSync(path.join(directory, found), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== 'ESRCH';
  }
}
