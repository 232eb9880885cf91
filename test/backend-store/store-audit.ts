/** What must hold of a store at rest: objects are exactly those that some manifest reaches. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkspaceRef } from '../../src/backend/backend.ts';
import { readManifest, snapshotIdsOnDisk } from '../../src/backend/store/manifest-files.ts';
import { ObjectFiles, objectName } from '../../src/backend/store/object-files.ts';
import { objectsPath, workspacePaths } from '../../src/backend/store/store-layout.ts';
import type { ObjectId } from '../../src/backend/store/stored-entry.ts';

export interface StoreAudit {
  /** Objects that a manifest reaches and that are not there. */
  readonly missing: readonly string[];
  /** Objects that no manifest reaches. */
  readonly garbage: readonly string[];
  /** Files in `working/`. */
  readonly leftOver: readonly string[];
}

/** `refs`: every workspace of the pool. */
export function auditStore(poolRoot: string, refs: readonly WorkspaceRef[]): StoreAudit {
  const path = objectsPath(poolRoot);
  using files = new ObjectFiles(path);
  const present = new Set(
    readdirSync(path, { recursive: true })
      .map(String)
      .filter((name) => name.includes('.')),
  );
  const reached = new Set<string>();
  const leftOver: string[] = [];
  for (const ref of refs) {
    const paths = workspacePaths(poolRoot, ref.id);
    for (const id of snapshotIdsOnDisk(paths)) {
      reach(files, readManifest(ref, id).root.child as ObjectId, present, reached);
    }
    leftOver.push(...readdirSync(paths.working).map((name) => join(paths.working, name)));
  }
  return {
    missing: [...reached].filter((name) => !present.has(name)),
    garbage: [...present].filter((name) => !reached.has(name)),
    leftOver,
  };
}

function reach(
  files: ObjectFiles,
  id: ObjectId,
  present: ReadonlySet<string>,
  reached: Set<string>,
): void {
  const name = objectName('directory', id);
  if (reached.has(name)) return;
  reached.add(name);
  if (!present.has(name)) return;
  for (const entry of files.readDirectory(id)) {
    if (entry.child !== '') reach(files, entry.child, present, reached);
    if (entry.content !== null) reached.add(objectName(entry.content.kind, entry.content.id));
  }
}

export const SOUND: StoreAudit = { missing: [], garbage: [], leftOver: [] };
