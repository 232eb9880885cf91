/**
 * Deleting snapshots and the objects that only they referred to.
 *
 * A manifest that is to go is first moved to `working/deleted-<id>`: from then on the snapshot does not
 * exist, and what it referred to is still known. The sweep then removes, under the exclusive lock, the
 * objects that those manifests reach and no manifest of any workspace of the pool does, and the moved
 * manifests last. Killed at any point, it is finished by whoever sweeps next.
 *
 * A snapshot that was killed while it published objects leaves its name in `working/`; then every
 * object is a candidate. Otherwise only what a deleted snapshot reached can have become garbage, and
 * where a neighbour has the same directory nothing below can: so candidates are few, and the search for
 * other references ends as soon as none is left.
 */
import { renameSync, rmSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import { isSnapshotId, isWorkspaceId, type SnapshotId } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { WorkspaceRef } from '../backend.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { unlinkAt } from '../syscalls-entry-linux.ts';
import { FormatError } from './binary-codec.ts';
import { makeDirectoryDurably, removeFile, syncDirectory } from './durable-file.ts';
import { decodeManifest, type Manifest } from './manifest.ts';
import {
  namesIn,
  readManifest,
  readManifestBytes,
  snapshotIdsOnDisk,
  tryReadManifest,
} from './manifest-files.ts';
import { ObjectFiles, objectName, parseObjectName } from './object-files.ts';
import { isKilledName, killedPath } from './object-transaction.ts';
import { lockObjects } from './objects-lock.ts';
import {
  ghostPath,
  manifestPath,
  objectsLockPath,
  objectsPath,
  type WorkspacePaths,
  workspacePaths,
} from './store-layout.ts';
import type { ObjectId, ObjectKind, StoredEntry } from './stored-entry.ts';

const DELETED_PREFIX = 'deleted-';

interface Candidate {
  readonly kind: ObjectKind;
  readonly id: ObjectId;
}

type StepHook = (label: string) => void;

/** The snapshots do not exist any more; durable on return. Ids that are not there are passed over. */
export function moveAside(ref: WorkspaceRef, ids: readonly SnapshotId[], onStep: StepHook): void {
  const paths = workspacePaths(ref.poolRoot, ref.id);
  makeDirectoryDurably(paths.working);
  for (const id of ids) {
    onStep('delete:before-manifest');
    try {
      renameSync(manifestPath(paths, id), `${paths.working}/${DELETED_PREFIX}${id}`);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') {
        const path = rawFromText(manifestPath(paths, id));
        throw toGhostsnapError(error, { what: 'Removing the snapshot', path });
      }
    }
    removeFile(`${paths.pins}/${id}`);
  }
  syncIfThere(paths.snapshots);
  syncDirectory(paths.working);
}

/** Removes what manifests that were moved aside leave behind. */
export async function sweep(ref: WorkspaceRef, onStep: StepHook): Promise<void> {
  const paths = workspacePaths(ref.poolRoot, ref.id);
  const names = namesIn(paths.working);
  const aside = names.filter((name) => name.startsWith(DELETED_PREFIX) || isKilledName(name));
  if (aside.length === 0) return;
  using _lock = await lockObjects(objectsLockPath(ref.poolRoot), 'exclusive');
  using files = new ObjectFiles(objectsPath(ref.poolRoot));
  const deleted = aside.map((name) =>
    isKilledName(name) ? null : readAside(`${paths.working}/${name}`),
  );
  const isKnown = deleted.every((manifest) => manifest !== null);
  const candidates = isKnown
    ? candidatesOf(
        ref,
        files,
        deleted.filter((manifest) => manifest !== null),
      )
    : everyObject(files);
  if (dropReferenced(ref.poolRoot, files, candidates)) {
    onStep('delete:before-objects');
    removeObjects(files, candidates.values(), onStep);
  }
  for (const name of aside) {
    rmSync(`${paths.working}/${name}`, { recursive: true, force: true });
  }
  syncDirectory(paths.working);
  onStep('delete:swept');
}

function syncIfThere(path: string): void {
  try {
    syncDirectory(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** null: torn, so nobody knows what it referred to. */
function readAside(path: string): Manifest | null {
  try {
    return decodeManifest(readManifestBytes(path));
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw toGhostsnapError(error, { what: 'Reading the manifest', path: rawFromText(path) });
  }
}

function keyOf(kind: ObjectKind, id: ObjectId): string {
  return kind[0] + id;
}

/** What the deleted snapshots reach where their nearest kept neighbours have something else. */
function candidatesOf(
  ref: WorkspaceRef,
  files: ObjectFiles,
  deleted: readonly Manifest[],
): Map<string, Candidate> {
  const kept = snapshotIdsOnDisk(workspacePaths(ref.poolRoot, ref.id));
  const candidates = new Map<string, Candidate>();
  for (const manifest of deleted) {
    const before = kept.findLast((id) => id < manifest.snapshot);
    const after = kept.find((id) => id > manifest.snapshot);
    const neighbours: ObjectId[] = [];
    for (const id of [before, after]) {
      const root = id === undefined ? undefined : tryReadManifest(ref, id)?.root.child;
      if (root !== undefined && root !== '') neighbours.push(root);
    }
    if (manifest.root.child !== '') collect(files, manifest.root.child, neighbours, candidates);
  }
  return candidates;
}

function collect(
  files: ObjectFiles,
  root: ObjectId,
  neighbours: readonly ObjectId[],
  into: Map<string, Candidate>,
): void {
  const pending: { id: ObjectId; beside: readonly ObjectId[] }[] = [
    { id: root, beside: neighbours },
  ];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const { id, beside } = at;
    const key = keyOf('directory', id);
    // Met before: below it the candidates are collected, with other neighbours perhaps, which only
    // decide how many candidates there are and never whether one is garbage.
    if (beside.includes(id) || into.has(key)) continue;
    into.set(key, { kind: 'directory', id });
    const others = beside.map((other) => directoryIndex(files, other));
    for (const entry of tryEntries(files, id)) {
      const twins = others.map((other) => other.get(entry.name));
      if (entry.type === 'dir' && entry.child !== '') {
        const children = twins.flatMap((twin) =>
          twin !== undefined && twin.child !== '' ? [twin.child] : [],
        );
        pending.push({ id: entry.child, beside: children });
      } else if (entry.content !== null) {
        const { kind, id: contentId } = entry.content;
        if (twins.some((twin) => twin?.content?.id === contentId)) continue;
        into.set(keyOf(kind, contentId), { kind, id: contentId });
      }
    }
  }
}

function directoryIndex(files: ObjectFiles, id: ObjectId): Map<string, StoredEntry> {
  return new Map(tryEntries(files, id).map((entry) => [entry.name as string, entry]));
}

/**
 * Entries of a directory, none when the object is damaged: then nobody can get at what lies below it
 * through this directory, and it keeps nothing alive. Any other failure ends the sweep.
 */
function tryEntries(files: ObjectFiles, id: ObjectId): readonly StoredEntry[] {
  try {
    return files.readDirectory(id);
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'SNAPSHOT_CORRUPT') return [];
    throw error;
  }
}

function everyObject(files: ObjectFiles): Map<string, Candidate> {
  const all = new Map<string, Candidate>();
  for (const shard of namesIn(files.path)) {
    if (!/^[0-9a-f]{2}$/.test(shard)) continue;
    for (const name of namesIn(`${files.path}/${shard}`)) {
      const object = parseObjectName(shard, name);
      if (object !== null) all.set(keyOf(object.kind, object.id), object);
    }
  }
  return all;
}

/**
 * Takes out what a kept snapshot of any workspace refers to. False: a manifest is from a later version
 * or can't be read now, so nobody knows what it refers to, and nothing may be removed.
 */
function dropReferenced(
  poolRoot: string,
  files: ObjectFiles,
  candidates: Map<string, Candidate>,
): boolean {
  const seen = new Set<ObjectId>();
  for (const workspace of namesIn(ghostPath(poolRoot)).filter(isWorkspaceId)) {
    const ref: WorkspaceRef = { id: workspace, path: '', poolRoot };
    const paths: WorkspacePaths = workspacePaths(poolRoot, workspace);
    // The newest first: it most likely has what the deleted ones had.
    for (const id of namesIn(paths.snapshots).filter(isSnapshotId).sort().reverse()) {
      if (candidates.size === 0) return true;
      const root = rootOf(ref, id);
      if (root === 'unknown') return false;
      if (root !== null) drop(files, root, seen, candidates);
    }
  }
  return true;
}

/** null: torn, it can't be gone back to and keeps nothing. */
function rootOf(ref: WorkspaceRef, id: SnapshotId): ObjectId | null | 'unknown' {
  try {
    return readManifest(ref, id).root.child as ObjectId;
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    return error.code === 'SNAPSHOT_CORRUPT' ? null : 'unknown';
  }
}

function drop(
  files: ObjectFiles,
  root: ObjectId,
  seen: Set<ObjectId>,
  candidates: Map<string, Candidate>,
): void {
  const pending: ObjectId[] = [root];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    candidates.delete(keyOf('directory', id));
    if (candidates.size === 0) return;
    for (const { child, content } of tryEntries(files, id)) {
      if (child !== '') pending.push(child);
      else if (content !== null) candidates.delete(keyOf(content.kind, content.id));
    }
  }
}

/**
 * Directories last: a sweep that is killed half-way finds its candidates again through them. Without a
 * pause: a blocking snapshot of this very process would wait for the lock, and the event loop for it.
 */
function removeObjects(
  files: ObjectFiles,
  candidates: Iterable<Candidate>,
  onStep: StepHook,
): void {
  const ordered = [...candidates];
  const contents = ordered.filter(({ kind }) => kind !== 'directory');
  const directories = ordered.filter(({ kind }) => kind === 'directory').reverse();
  let removed = 0;
  for (const { kind, id } of [...contents, ...directories]) {
    removeObject(files, objectName(kind, id));
    removed += 1;
    if (removed === 1) onStep('delete:first-object');
  }
}

function removeObject(files: ObjectFiles, name: string): void {
  try {
    unlinkAt(files.fd, name);
  } catch (error) {
    // A sweep that was killed had removed it already.
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/**
 * What killed snapshots left: the caller holds the workspace, so none is under way. Its content goes at
 * once, its name with the sweep that looks for the objects it may have published.
 */
export function setAsideKilled(paths: WorkspacePaths): void {
  for (const name of namesIn(paths.working)) {
    const path = `${paths.working}/${name}`;
    if (isKilledName(name) || !isSnapshotId(name)) continue;
    for (const inside of namesIn(path))
      rmSync(`${path}/${inside}`, { recursive: true, force: true });
    rmSync(killedPath(path), { recursive: true, force: true });
    renameSync(path, killedPath(path));
  }
}
