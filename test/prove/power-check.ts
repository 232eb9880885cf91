/**
 * What a power loss left, held against what had been promised before it.
 *
 * Each promise whose position lies before the cut must hold after the next open: snapshots are listed
 * and whole, by the witness; pins and labels are there; an acknowledged rollback is the live tree; and
 * the catalog is sound. Going back then works. Everything wrong is a line.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { POOL, type PowerPlace } from './power-ground.ts';
import type { PromisedSnapshot, Story } from './power-story.ts';
import type { Place, Witness } from './witness.ts';

export interface CheckParts {
  readonly place: PowerPlace;
  readonly story: Story;
  readonly witness: Witness;
  /** The log's position at which the power went. */
  readonly at: number;
  /** Rolls back as well and compares. */
  readonly goBack: 'yes' | 'no';
}

/** @returns what is wrong, a line each */
export async function checkAfterPowerLoss(parts: CheckParts): Promise<string[]> {
  const { story, at } = parts;
  if (at < story.filledAt) return [];
  const wrong = at < story.initAt ? await checkDuringInit(parts) : await checkWorkspace(parts);
  return [...wrong, ...checkCatalogs(parts)];
}

/** Init had begun, perhaps: the same command again finishes it, and the tree is whole either way. */
async function checkDuringInit(parts: CheckParts): Promise<string[]> {
  const { place, story, witness } = parts;
  const { workspacePath: path, environment, ground } = place;
  const how = ground.backend === 'image' ? { pool: POOL } : { backend: ground.backend };
  await initWorkspace({ path, environment, ...how });
  const { live } = await witness.hashes({ live: { dir: path } });
  return live === story.filledHash ? [] : ['the tree is another one after an interrupted init'];
}

async function checkWorkspace(parts: CheckParts): Promise<string[]> {
  const { place, story, witness, at } = parts;
  const { workspacePath, environment } = place;
  const workspace = await openWorkspace({ workspace: workspacePath, environment });
  try {
    const wrong = await checkSnapshots(workspace, parts);
    const { live } = await witness.hashes({ live: { dir: workspacePath } });
    const promised = story.lives.find(({ from, to }) => from <= at && at < to);
    if (promised !== undefined && promised.hash !== live) {
      wrong.push('the live tree is not the target of the rollback that was acknowledged');
    }
    if (parts.goBack === 'yes') wrong.push(...(await goBack(workspace, parts)));
    return wrong;
  } finally {
    await workspace.close();
  }
}

async function checkSnapshots(workspace: Workspace, parts: CheckParts): Promise<string[]> {
  const { story, witness, at } = parts;
  const wrong: string[] = [];
  const listed = new Map(workspace.list().map((info) => [info.id as string, info]));
  const places: Record<string, Place> = {};
  for (const id of listed.keys()) places[id] = placeOf(workspace, parts.place, id);
  const hashes = await witness.hashes(places);
  for (const snapshot of story.snapshots) {
    const info = listed.get(snapshot.id);
    if (info === undefined) {
      if (isPromised(snapshot, at)) wrong.push(`${snapshot.id} was acknowledged and is not there`);
      continue;
    }
    if (hashes[snapshot.id] !== snapshot.hash) wrong.push(`${snapshot.id} is another tree`);
    const isPinned = snapshot.pinnedAt <= at && at < snapshot.unpinningAt;
    if (isPinned && !info.pinned) wrong.push(`the pin of ${snapshot.id} is lost`);
    if (snapshot.labelledAt <= at && info.label !== snapshot.label) {
      wrong.push(`the label of ${snapshot.id} is lost`);
    }
  }
  return wrong;
}

async function goBack(workspace: Workspace, parts: CheckParts): Promise<string[]> {
  const { story, witness, at, place } = parts;
  const target = story.snapshots.findLast((snapshot) => isPromised(snapshot, at));
  if (target === undefined) return [];
  await workspace.rollback(target.id, { mode: 'in-place' });
  const { live } = await witness.hashes({ live: { dir: place.workspacePath } });
  return live === target.hash ? [] : [`a rollback to ${target.id} does not give its tree`];
}

function isPromised(snapshot: PromisedSnapshot, at: number): boolean {
  return snapshot.promisedAt <= at && at < snapshot.deletingAt;
}

function placeOf(workspace: Workspace, place: PowerPlace, id: string): Place {
  const { workspace: ws, poolRoot } = workspace.info;
  if (place.ground.backend === 'store') return { store: poolRoot, workspace: ws, snapshot: id };
  return { dir: join(poolRoot, '.ghostsnap', ws, id) };
}

function checkCatalogs({ place, story, at }: CheckParts): string[] {
  const home = place.environment.env.GHOSTSNAP_HOME ?? '';
  const pools = join(home, 'pools');
  const used = poolsInUse(home);
  return readdirSync(pools).flatMap((name) => {
    const file = join(pools, name, 'catalog.db');
    if (!existsSync(file)) {
      // Only a pool whose making was cut off before its catalog; the next init has made another.
      const isCutOff = at < story.initAt && !used.has(name);
      return isCutOff ? [] : [`the catalog of ${name} is missing`];
    }
    return verifyCatalog({ file }).map((problem) => `the catalog of ${name}: ${problem}`);
  });
}

/** By the registry's own files. */
function poolsInUse(home: string): ReadonlySet<string> {
  const folder = join(home, 'workspaces');
  const records = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return new Set(records.map((name) => poolOf(readFileSync(join(folder, name), 'utf8'))));
}

function poolOf(record: string): string {
  return (JSON.parse(record) as { readonly pool: string }).pool;
}
