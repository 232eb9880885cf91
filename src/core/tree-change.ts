/**
 * The difference between two trees, one record a path.
 *
 * A change says what turns the tree `from` into the tree `to`. Streams of changes are in walk order
 * (`comparePaths`), so that memory stays bounded whatever the trees are.
 */
import type { RawPath } from './raw-path.ts';
import type { TreeEntry } from './tree-entry.ts';

/**
 * added, deleted: the path exists on one side only.
 * modified: a regular file's content or a symlink's target differs (metadata may differ as well).
 * metadata: mode, owner, mtime, xattrs or the hard link structure differ, content does not.
 * type: the path is another type of thing on each side; the entries below follow as added/deleted.
 * renamed: produced by rename detection from an added and a deleted path, never by a backend.
 * uncovered: a boundary, socket or unreadable path; reported, never acted on.
 */
export type ChangeKind =
  | 'added'
  | 'deleted'
  | 'modified'
  | 'metadata'
  | 'type'
  | 'renamed'
  | 'uncovered';

/** Which metadata differ, for `metadata` and `modified`. */
export type MetadataField = 'mode' | 'owner' | 'mtime' | 'xattrs' | 'links';

export interface TreeChange {
  readonly path: RawPath;
  readonly kind: ChangeKind;
  readonly from: TreeEntry | null;
  readonly to: TreeEntry | null;
  readonly fields: readonly MetadataField[];
  /** The old path of a `renamed` change. */
  readonly oldPath?: RawPath;
  /** Why an `uncovered` path is not covered, for people. */
  readonly reason?: string;
}

export interface ChangeStats {
  readonly added: number;
  readonly deleted: number;
  readonly modified: number;
  readonly metadata: number;
  readonly type: number;
  readonly renamed: number;
  readonly uncovered: number;
}
