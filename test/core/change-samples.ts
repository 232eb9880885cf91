/** Entries and changes for tests, with the fields that a test does not care about filled in. */
import { type RawPath, rawFromText } from '../../src/core/raw-path.ts';
import type { ChangeKind, TreeChange } from '../../src/core/tree-change.ts';
import type { TreeEntry } from '../../src/core/tree-entry.ts';

export function entry(fields: Partial<TreeEntry> = {}): TreeEntry {
  return {
    name: 'x' as TreeEntry['name'],
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    sizeBytes: 1,
    mtimeNs: 1n,
    ino: 1,
    nlink: 1,
    ctimeNs: 0n,
    rdev: 0,
    ...fields,
  };
}

export function change(
  kind: ChangeKind,
  path: string,
  fields: Partial<Omit<TreeChange, 'kind' | 'path'>> & { readonly of?: TreeEntry } = {},
): TreeChange {
  const { of, ...rest } = fields;
  const isAdded = kind === 'added' || kind === 'uncovered';
  return {
    path: rawFromText(path) as RawPath,
    kind,
    from: isAdded ? null : (of ?? entry()),
    to: kind === 'deleted' ? null : (of ?? entry()),
    fields: [],
    ...rest,
  };
}
