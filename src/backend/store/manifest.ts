/**
 * The manifest of one snapshot: the small file that makes a snapshot exist.
 *
 * It is written last, after everything it refers to is durable, and removed first. What it holds besides
 * the root of the Merkle tree can be read without opening any object.
 *
 *   manifest  = "GSSNAP" version:u8(1) snapshot:text workspace:text createdAtMs:i64
 *               entries:varuint bytes:varuint root:entry uncovered:varuint { reason:u8 path:text }
 *               sha256:32 bytes of everything before
 *
 * `entry` is the entry of a directory object (directory-object.ts) with an empty name.
 */
import { hash } from 'node:crypto';
import type { SnapshotId, WorkspaceId } from '../../core/ids.ts';
import { isSnapshotId, isWorkspaceId } from '../../core/ids.ts';
import type { RawPath } from '../../core/raw-path.ts';
import type { UncoveredPath } from '../backend.ts';
import { ByteReader, ByteWriter, FormatError } from './binary-codec.ts';
import { decodeEntry, encodeEntry } from './directory-object.ts';
import type { StoredEntry } from './stored-entry.ts';

const MAGIC = 'GSSNAP';
const VERSION = 1;
const CHECKSUM_BYTES = 32;

const REASONS: readonly UncoveredPath['reason'][] = [
  'subvolume',
  'mount',
  'socket',
  'unreadable',
  'device',
  'changing',
];

export interface Manifest {
  readonly snapshot: SnapshotId;
  readonly workspace: WorkspaceId;
  readonly createdAtMs: number;
  /** Entries below the root, and the bytes of its regular files (a hard link counts each time). */
  readonly entries: number;
  readonly contentBytes: number;
  readonly root: StoredEntry;
  readonly uncovered: readonly UncoveredPath[];
}

/** The root names everything below it by its content: equal roots are equal trees. */
export function haveSameRoot(a: Manifest, b: Manifest): boolean {
  const [one, other] = [new ByteWriter(), new ByteWriter()];
  encodeEntry(one, a.root);
  encodeEntry(other, b.root);
  return Buffer.compare(one.view(), other.view()) === 0;
}

export function encodeManifest(manifest: Manifest): Buffer {
  const writer = new ByteWriter();
  writer.fixedText(MAGIC);
  writer.u8(VERSION);
  writer.text(manifest.snapshot);
  writer.text(manifest.workspace);
  writer.i64(manifest.createdAtMs);
  writer.varuint(manifest.entries);
  writer.varuint(manifest.contentBytes);
  encodeEntry(writer, manifest.root);
  writer.varuint(manifest.uncovered.length);
  for (const { reason, path } of manifest.uncovered) {
    writer.u8(REASONS.indexOf(reason));
    writer.text(path);
  }
  writer.bytes(hash('sha256', writer.view(), 'buffer'));
  return Buffer.from(writer.view());
}

/** @throws FormatError */
export function decodeManifest(bytes: Buffer): Manifest {
  const reader = new ByteReader(bytes);
  if (reader.fixedText(MAGIC.length) !== MAGIC) throw new FormatError('This is not a manifest');
  const version = reader.u8();
  // The version comes before the checksum: a later one may be checked in another way.
  if (version > VERSION) throw new FormatError(`The manifest has the format ${version}`, 'too-new');
  const bodyBytes = bytes.length - CHECKSUM_BYTES;
  const sum = hash('sha256', bytes.subarray(0, Math.max(0, bodyBytes)), 'buffer');
  if (bodyBytes < 0 || !sum.equals(bytes.subarray(bodyBytes))) {
    throw new FormatError('The checksum of the manifest is wrong');
  }
  const snapshot = reader.text();
  const workspace = reader.text();
  if (!isSnapshotId(snapshot) || !isWorkspaceId(workspace)) {
    throw new FormatError('The manifest has no valid ids');
  }
  const createdAtMs = reader.i64();
  const entries = reader.varuint();
  const contentBytes = reader.varuint();
  const root = decodeEntry(reader);
  const uncovered = decodeUncovered(reader);
  reader.bytes(CHECKSUM_BYTES);
  reader.end();
  if (root.type !== 'dir') throw new FormatError('The root of the manifest is no directory');
  return { snapshot, workspace, createdAtMs, entries, contentBytes, root, uncovered };
}

function decodeUncovered(reader: ByteReader): UncoveredPath[] {
  const count = reader.varuint();
  const uncovered: UncoveredPath[] = [];
  for (let i = 0; i < count; i += 1) {
    const reason = REASONS[reader.u8()];
    if (reason === undefined) throw new FormatError('The manifest has an unknown reason');
    uncovered.push({ reason, path: reader.text() as RawPath });
  }
  return uncovered;
}
