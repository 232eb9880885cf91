/**
 * A file that somebody appends to while it is captured: what each snapshot holds of it is a beginning of
 * what it became.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AnsweringChild } from './child-process.ts';
import type { HostileAnswer, HostileRequest } from './hostile-child.ts';
import { ask, giveTo, type ShapePlace } from './hostile-shapes.ts';
import type { Place } from './witness.ts';

const CHILD = join(import.meta.dirname, 'hostile-child.ts');
const SNAPSHOTS = 12;

export interface GrowingPlace extends ShapePlace {
  /**
   * What may follow the beginning. Where btrfs has its feature no-holes, a snapshot may hold a size that
   * was reached after the flush, and zeros up to there; the bare ioctl gives the same.
   */
  readonly end: 'nothing' | 'zeros';
}

/**
 * The file is numbered line by line, without a pause.
 * @returns what went wrong
 */
export async function tryGrowing({ bed, witness, end }: GrowingPlace): Promise<string[]> {
  const folder = mkdtempSync(join(bed.base, 'grow-'));
  const live = join(folder, 'work');
  mkdirSync(live);
  const file = join(live, 'log');
  appendFileSync(file, '');
  giveTo(bed, folder);
  await using child = new AnsweringChild<HostileRequest, HostileAnswer>({
    ...{ script: CHILD, args: [folder], uid: bed.uid },
  });
  await ask(child, { op: 'init', backend: bed.backend });
  const script = 'i=0; while :; do i=$((i + 1)); echo "$i"; done >> "$0"';
  const writer = spawn('sh', ['-c', script, file], { stdio: 'ignore' });
  const ended = once(writer, 'exit');
  const places: Place[] = [];
  const wrong: string[] = [];
  for (let turn = 0; turn < SNAPSHOTS; turn += 1) {
    const { snapshot, message } = await ask(child, { op: 'snapshot' });
    if (snapshot === null) wrong.push(`snapshot: ${message}`);
    else places.push(snapshot.place);
  }
  writer.kill('SIGKILL');
  await ended;
  for (const place of places) {
    const line = (await witness.lines(place)).find((text) => text.startsWith('log\t'));
    const [, , , , , size = '', , , content = ''] = line?.split('\t') ?? [];
    if (content === sumOfBeginning(file, size)) continue;
    if (end === 'zeros' && 'dir' in place && endsInZeros(join(place.dir, 'log'), file)) continue;
    wrong.push(`${size} bytes are no beginning of the file`);
  }
  return wrong;
}

function sumOfBeginning(file: string, size: string): string {
  const output = execFileSync('sh', ['-c', 'head -c "$0" "$1" | sha256sum', size, file]);
  return output.toString().split(' ')[0] ?? '';
}

/** Whether nothing but zeros follows a beginning of `grown` that is not empty. */
function endsInZeros(captured: string, grown: string): boolean {
  const held = readFileSync(captured);
  const whole = readFileSync(grown);
  const written = held.findLastIndex((byte) => byte !== 0) + 1;
  return written > 0 && held.subarray(0, written).equals(whole.subarray(0, written));
}
