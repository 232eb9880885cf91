/**
 * Trees that nobody would think of, captured, destroyed and brought back.
 *
 * The tree is judged by the independent checker before and after; how it is built and how it is destroyed
 * is not the product's code either.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pythonPath } from '../checker/tree-digest.ts';
import { AnsweringChild } from './child-process.ts';
import type { HostileAnswer, HostileRequest } from './hostile-child.ts';
import type { UserBed } from './model-beds.ts';
import type { Witness } from './witness.ts';

const CHILD = join(import.meta.dirname, 'hostile-child.ts');
const BUILDER = join(import.meta.dirname, 'hostile-trees.py');

export interface Shape {
  readonly kind: 'every-byte' | 'deep' | 'wide' | 'links' | 'sparse';
  /** Levels, entries or names. */
  readonly count: number;
}

export interface ShapePlace {
  readonly bed: UserBed;
  readonly witness: Witness;
}

/** @returns what went wrong */
export async function tryShape({ bed, witness }: ShapePlace, shape: Shape): Promise<string[]> {
  // As short as can be: a path through 2,000 levels must still fit for the witness.
  const folder = mkdtempSync(join(bed.base, 's'));
  const live = join(folder, 'work');
  mkdirSync(live);
  execFileSync(pythonPath(), [BUILDER, shape.kind, live, `${shape.count}`]);
  giveTo(bed, folder);
  await using child = new AnsweringChild<HostileRequest, HostileAnswer>({
    ...{ script: CHILD, args: [folder], uid: bed.uid },
  });
  const hash = async (): Promise<string> => (await witness.hashes({ it: { dir: live } })).it ?? '';
  const before = await hash();
  const made = await ask(child, { op: 'init', backend: bed.backend });
  if (made.snapshot === null) return [`init: ${made.message}`];
  const wrong: string[] = [];
  if ((await hash()) !== before) wrong.push('init changed the tree');
  execFileSync('find', [live, '-mindepth', '1', '-delete']);
  writeFileSync(join(live, 'instead'), '');
  const turned = await ask(child, { op: 'rollback', id: made.snapshot.id });
  if (turned.code !== null) wrong.push(`rollback: ${turned.message}`);
  if ((await hash()) !== before) wrong.push('the rollback gives another tree');
  const again = await ask(child, { op: 'snapshot' });
  if (again.code !== null) wrong.push(`snapshot: ${again.message}`);
  const removed = await ask(child, { op: 'thin-out' });
  if (removed.code !== null) wrong.push(`prune: ${removed.message}`);
  return wrong;
}

export function giveTo({ uid }: UserBed, folder: string): void {
  if (uid !== undefined) execFileSync('chown', ['-hR', `${uid}:${uid}`, folder]);
}

export async function ask(
  child: AnsweringChild<HostileRequest, HostileAnswer>,
  request: HostileRequest,
): Promise<HostileAnswer> {
  const answer = await child.ask(request);
  if (answer !== null) return answer;
  throw new Error(`The process died of ${JSON.stringify(request)}.`);
}
