/**
 * Filesystems that are mounted, and subvolumes that are made, in the tree while it is turned.
 *
 * They appear where the rollback is about to write or to delete. What is on them is nobody's snapshot: it
 * must be there afterwards, to the byte. When they are gone the rollback gives its tree.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { AnsweringChild } from './child-process.ts';
import type { HostileAnswer, HostileRequest } from './hostile-child.ts';
import { maySay } from './hostile-codes.ts';
import type { UserBed } from './model-beds.ts';
import type { Witness } from './witness.ts';

const CHILD = join(import.meta.dirname, 'hostile-child.ts');
const FILES = 40;

export interface BoundaryPlace {
  readonly bed: UserBed;
  readonly witness: Witness;
}

interface Boundary {
  readonly kind: 'mount' | 'subvolume';
  make(at: string): void;
  remove(at: string): void;
}

const MOUNT: Boundary = {
  kind: 'mount',
  make: (at) => void execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'hostile', at]),
  remove: (at) => void execFileSync('umount', [at]),
};

const SUBVOLUME: Boundary = {
  kind: 'subvolume',
  make: (at) => void execFileSync('btrfs', ['-q', 'subvolume', 'create', join(at, 'own')]),
  remove: (at) => void execFileSync('btrfs', ['-q', 'subvolume', 'delete', join(at, 'own')]),
};

/** @returns what went wrong */
export async function tryBoundaries(place: BoundaryPlace, rounds: number): Promise<string[]> {
  const { bed } = place;
  const isOnBtrfs = bed.name.includes('btrfs');
  const wrong: string[] = [];
  for (const boundary of isOnBtrfs ? [MOUNT, SUBVOLUME] : [MOUNT]) {
    for (let round = 0; round < rounds; round += 1) {
      const found = await tryBoundary(place, boundary, round);
      wrong.push(...found.map((what) => `${boundary.kind}, round ${round}: ${what}`));
      if (wrong.length > 0) return wrong;
    }
  }
  return wrong;
}

/** Half of the rounds the directory is one that the rollback deletes, in the others one that it fills. */
async function tryBoundary(
  { bed, witness }: BoundaryPlace,
  boundary: Boundary,
  round: number,
): Promise<string[]> {
  const folder = mkdtempSync(join(bed.base, 'bound-'));
  const live = join(folder, 'work');
  mkdirSync(join(live, 'kept/in'), { recursive: true });
  fill(join(live, 'kept/in'), 'first');
  await using child = new AnsweringChild<HostileRequest, HostileAnswer>({
    ...{ script: CHILD, args: [folder], uid: bed.uid },
  });
  const made = await ask(child, { op: 'init', backend: bed.backend });
  if (made.snapshot === null) return [made.message];
  const hash = async (): Promise<string> => (await witness.hashes({ it: { dir: live } })).it ?? '';
  const before = await hash();
  mkdirSync(join(live, 'late/in'), { recursive: true });
  fill(join(live, 'late/in'), 'later');
  fill(join(live, 'kept/in'), 'later');
  const at = join(live, round % 2 === 0 ? 'late/in' : 'kept/in');
  const wrong: string[] = [];
  const turning = ask(child, { op: 'rollback', id: made.snapshot.id });
  for (let wait = 0; wait < round * 40; wait += 1) await turnOfTheLoop();
  const isMade = tryTo(() => {
    boundary.make(at);
    writeFileSync(theirs(boundary, at), 'theirs');
  });
  const { code, message } = await turning;
  if (!maySay(code)) wrong.push(`${code}: ${message}`);
  if (isMade) {
    const isThere = tryTo(() => void readFileSync(theirs(boundary, at)));
    if (!isThere) wrong.push('what was in it is gone');
    boundary.remove(at);
  }
  await ask(child, { op: 'recover' });
  const turned = await ask(child, { op: 'rollback', id: made.snapshot.id });
  if (turned.code !== null) wrong.push(`afterwards: ${turned.message}`);
  if ((await hash()) !== before) wrong.push('afterwards: another tree');
  return wrong;
}

function theirs({ kind }: Boundary, at: string): string {
  return join(at, kind === 'subvolume' ? 'own/theirs' : 'theirs');
}

/** False: the rollback was quicker, and the directory is gone. */
function tryTo(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    // Nothing but its absence: the checks that follow say what is there.
    return false;
  }
}

function fill(directory: string, text: string): void {
  for (let file = 0; file < FILES; file += 1) {
    writeFileSync(join(directory, `f${file}`), `${text} ${file}`);
  }
}

async function ask(
  child: AnsweringChild<HostileRequest, HostileAnswer>,
  request: HostileRequest,
): Promise<HostileAnswer> {
  const answer = await child.ask(request);
  if (answer !== null) return answer;
  throw new Error(`The process died of ${JSON.stringify(request)}.`);
}
