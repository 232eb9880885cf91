/**
 * A change as JSON: the stable shape of `diff --json` and of every `--dry-run --json`.
 *
 * Paths are in their display form (escapes for bytes that are not text), modes are octal text,
 * times are nanoseconds as decimal text, because a JSON number cannot hold them.
 */
import { displayPath, type RawPath } from '../core/raw-path.ts';
import type { TreeChange } from '../core/tree-change.ts';
import type { TreeEntry } from '../core/tree-entry.ts';

export interface EntryJson {
  readonly type: TreeEntry['type'];
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeNs: string;
}

export interface ChangeJson {
  readonly path: string;
  readonly kind: TreeChange['kind'];
  readonly oldPath?: string;
  readonly fields: TreeChange['fields'];
  readonly from: EntryJson | null;
  readonly to: EntryJson | null;
  readonly reason?: string;
}

export function changeJson(change: TreeChange): ChangeJson {
  return {
    path: shownPath(change.path),
    kind: change.kind,
    ...(change.oldPath === undefined ? {} : { oldPath: shownPath(change.oldPath) }),
    fields: change.fields,
    from: entryJson(change.from),
    to: entryJson(change.to),
    ...(change.reason === undefined ? {} : { reason: change.reason }),
  };
}

/** The display form; the workspace's own directory is `.`. */
export function shownPath(path: RawPath): string {
  return path === '' ? '.' : displayPath(path);
}

/** Permission bits as four octal digits. */
export function octalMode(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function entryJson(entry: TreeEntry | null): EntryJson | null {
  if (entry === null) return null;
  const { type, uid, gid, sizeBytes } = entry;
  return {
    type,
    mode: octalMode(entry.mode),
    uid,
    gid,
    sizeBytes,
    mtimeNs: entry.mtimeNs.toString(),
  };
}
