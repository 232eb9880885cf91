/**
 * After a load run: is everything that was acknowledged there, once, and is it what it should be?
 *
 * Looks at the disk and at the catalog with the service stopped. For each acknowledged begin: its call is
 * in the catalog with this snapshot; its snapshot is in the catalog and a directory on disk; a call that
 * changed things has in its snapshot the number that the call before had left in the workspace. For each
 * workspace: no key of a call twice, and as many snapshots on disk as in the catalog.
 */
import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openCatalog } from '../../src/catalog/open-catalog.ts';
import { isSnapshotId, type WorkspaceId } from '../../src/core/ids.ts';
import type { Catalog } from '../../src/engine/ports.ts';
import type { LedgerEntry } from './load-plan.ts';

export interface LoadVerdict {
  readonly acknowledged: number;
  readonly snapshotsOnDisk: number;
  readonly lost: number;
  readonly doubled: number;
  /** Snapshots whose tree is not the state before the call. */
  readonly wrong: number;
  /** On disk and in no row, or the other way. */
  readonly astray: number;
  /** The first few, in words. */
  readonly examples: readonly string[];
}

const EXAMPLES_MAX = 10;

export async function verifyLoad(options: {
  readonly catalogFile: string;
  readonly poolRoot: string;
  readonly ledgerFiles: readonly string[];
}): Promise<LoadVerdict> {
  using catalog = openCatalog({ file: options.catalogFile });
  const found = { lost: 0, doubled: 0, wrong: 0, astray: 0, examples: [] as string[] };
  const note = (kind: 'lost' | 'doubled' | 'wrong' | 'astray', what: string): void => {
    found[kind] += 1;
    if (found.examples.length < EXAMPLES_MAX) found.examples.push(`${kind}: ${what}`);
  };
  let acknowledged = 0;
  const workspaces = new Set<WorkspaceId>();
  for (const ledgerFile of options.ledgerFiles) {
    for await (const line of createInterface({ input: createReadStream(ledgerFile) })) {
      const entry = JSON.parse(line) as LedgerEntry;
      acknowledged += 1;
      workspaces.add(entry.workspace as WorkspaceId);
      checkEntry(catalog, options.poolRoot, entry, note);
    }
  }
  let snapshotsOnDisk = 0;
  for (const workspace of workspaces) {
    const onDisk = readdirSync(join(options.poolRoot, '.ghostsnap', workspace)).filter(
      isSnapshotId,
    );
    const known = new Set<string>(catalog.snapshotIds(workspace));
    snapshotsOnDisk += onDisk.length;
    for (const id of onDisk) if (!known.delete(id)) note('astray', `${workspace}/${id} on disk`);
    for (const id of known) note('astray', `${workspace}/${id} in the catalog`);
    const keys = catalog.listCalls(workspace).map(({ key }) => key);
    if (new Set(keys).size < keys.length) note('doubled', `a call of ${workspace}`);
  }
  return { acknowledged, snapshotsOnDisk, ...found };
}

function checkEntry(
  catalog: Catalog,
  poolRoot: string,
  entry: LedgerEntry,
  note: (kind: 'lost' | 'wrong', what: string) => void,
): void {
  const workspace = entry.workspace as WorkspaceId;
  const row = catalog.call(workspace, entry.call as never);
  if (row === null || row.snapshot !== entry.snapshot) note('lost', `the call ${entry.call}`);
  if (entry.counter === null) return;
  const { snapshot } = entry;
  if (snapshot === null || catalog.snapshot(workspace, snapshot as never) === null) {
    note('lost', `the row of ${snapshot}`);
    return;
  }
  const tree = join(poolRoot, '.ghostsnap', workspace, snapshot);
  if (!existsSync(tree)) {
    note('lost', `${tree} on disk`);
    return;
  }
  const file = join(tree, 'progress.txt');
  const held = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  if (held !== entry.counter) note('wrong', `${tree} holds ${held}, not ${entry.counter}`);
}
