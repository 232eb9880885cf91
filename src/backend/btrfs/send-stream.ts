/**
 * Reads a btrfs send stream (version 1) and collects the paths that its commands name.
 *
 * The stream is `btrfs-stream\0`, u32 version, then commands: u32 payload length, u16 command, u32
 * CRC-32C (seed 0, not inverted, over header and payload with the CRC field zero), then attributes:
 * u16 type, u16 length, bytes. All little endian. Memory is bounded by one command plus one chunk,
 * except for what is said below orphan names, which are rare.
 *
 * Paths are hints about where two trees may differ, no more; a stream that is cut or damaged is an
 * error all the same, since a missing hint would be a missed change.
 * Source: fs/btrfs/send.h and send.c of Linux.
 */
import { GhostsnapError } from '../../core/errors.ts';
import type { RawPath } from '../../core/raw-path.ts';

const MAGIC = 'btrfs-stream\0';
const STREAM_HEAD_BYTES = 17;
const COMMAND_HEAD_BYTES = 10;
/** The kernel's own buffer is 64 KiB a command in version 1; more means a damaged length. */
const COMMAND_BYTES_MAX = 1 << 20;

const COMMAND_SYMLINK = 8;
const COMMAND_RENAME = 9;
const COMMAND_END = 21;
const COMMAND_MAX = 22;

const ATTRIBUTE_PATH = 15;
const ATTRIBUTE_PATH_TO = 16;
const ATTRIBUTE_PATH_LINK = 17;

/**
 * The sender's names for things that have no place yet, or none any more: `oINODE-GENERATION-INDEX`
 * in the root directory.
 */
const ORPHAN = /^o\d+-\d+-\d+(?=\/|$)/;

/** An orphan inside an orphan inside an orphan; two that held each other in turn would go on for ever. */
const ORPHAN_HOPS_MAX = 3;

/** Feed it chunks with `push`, then call `end`. Paths arrive in no order, repeated. */
export class SendStreamParser {
  readonly #onPath: (path: RawPath) => void;
  readonly #orphans = new Map<string, OrphanTrace>();
  #rest: Buffer = Buffer.alloc(0);
  #sawHead = false;
  #sawEnd = false;

  constructor(onPath: (path: RawPath) => void) {
    this.#onPath = onPath;
  }

  /** @throws GhostsnapError SNAPSHOT_CORRUPT: not a stream of version 1, or damaged */
  push(chunk: Uint8Array): void {
    let data = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    if (!this.#sawHead) {
      if (data.length < STREAM_HEAD_BYTES) {
        this.#rest = data;
        return;
      }
      this.#readHead(data);
      data = data.subarray(STREAM_HEAD_BYTES);
    }
    let at = 0;
    while (data.length - at >= COMMAND_HEAD_BYTES) {
      const payloadBytes = data.readUInt32LE(at);
      if (payloadBytes > COMMAND_BYTES_MAX) throw damaged('a command is longer than any can be');
      const end = at + COMMAND_HEAD_BYTES + payloadBytes;
      if (end > data.length) break;
      this.#command(data.subarray(at, end));
      at = end;
    }
    this.#rest = Buffer.from(data.subarray(at));
  }

  /** @throws GhostsnapError SNAPSHOT_CORRUPT: the stream has no end */
  end(): void {
    if (!this.#sawEnd || this.#rest.length > 0) throw damaged('it stops in the middle');
  }

  #readHead(data: Buffer): void {
    if (data.toString('latin1', 0, MAGIC.length) !== MAGIC) throw damaged('its magic is wrong');
    const version = data.readUInt32LE(MAGIC.length);
    if (version !== 1) throw damaged(`its version is ${version}, not 1`);
    this.#sawHead = true;
  }

  #command(bytes: Buffer): void {
    if (this.#sawEnd) throw damaged('something follows its end');
    const expected = bytes.readUInt32LE(6);
    bytes.writeUInt32LE(0, 6);
    if (crc32c(bytes) !== expected) throw damaged('a checksum does not match');
    const command = bytes.readUInt16LE(4);
    if (command === 0 || command > COMMAND_MAX) throw damaged(`command ${command} is unknown`);
    if (command === COMMAND_END) {
      this.#sawEnd = true;
      return;
    }
    this.#attributes(command, bytes);
  }

  #attributes(command: number, bytes: Buffer): void {
    let path: string | null = null;
    let at = COMMAND_HEAD_BYTES;
    while (at < bytes.length) {
      if (bytes.length - at < 4) throw damaged('an attribute is cut');
      const type = bytes.readUInt16LE(at);
      const end = at + 4 + bytes.readUInt16LE(at + 2);
      if (end > bytes.length) throw damaged('an attribute leaves its command');
      // The subvolume's own name (commands 1 and 2) comes as a PATH as well. A new symlink's target
      // comes as a PATH_LINK, and is data: it may lead anywhere.
      const isTarget = type === ATTRIBUTE_PATH_LINK && command === COMMAND_SYMLINK;
      const isPath = type >= ATTRIBUTE_PATH && type <= ATTRIBUTE_PATH_LINK;
      if (isPath && !isTarget && command > 2) {
        const value = bytes.toString('latin1', at + 4, end);
        if (type === ATTRIBUTE_PATH) path = value;
        if (command === COMMAND_RENAME && type === ATTRIBUTE_PATH_TO && path !== null) {
          this.#renamed(path, value);
        }
        this.#named(value);
      }
      at = end;
    }
  }

  #named(path: string, hops = 0): void {
    // Also a name that looks like an orphan's: a workspace may hold a file of its own that is called
    // so, and the hint costs one comparison.
    this.#onPath(path as RawPath);
    const orphan = ORPHAN.exec(path)?.[0];
    if (orphan === undefined || hops >= ORPHAN_HOPS_MAX) return;
    const trace = this.#trace(orphan);
    const below = path.slice(orphan.length);
    if (below === '' || trace.below.has(below)) return;
    trace.below.add(below);
    for (const place of trace.places) this.#named(`${place}${below}`, hops + 1);
  }

  /** What happens below an orphan name happens to the paths that it had before and has afterwards. */
  #renamed(from: string, to: string): void {
    this.#movedOrphan(from, to);
    this.#movedOrphan(to, from);
  }

  #movedOrphan(name: string, place: string): void {
    if (ORPHAN.exec(name)?.[0] !== name) return;
    const trace = this.#trace(name);
    if (trace.places.has(place)) return;
    trace.places.add(place);
    for (const below of trace.below) this.#named(`${place}${below}`, 1);
  }

  #trace(orphan: string): OrphanTrace {
    let trace = this.#orphans.get(orphan);
    if (trace === undefined) {
      trace = { places: new Set(), below: new Set() };
      this.#orphans.set(orphan, trace);
    }
    return trace;
  }
}

interface OrphanTrace {
  /** Names that it was renamed from and to. */
  readonly places: Set<string>;
  /** Paths named below it, each with its leading slash. */
  readonly below: Set<string>;
}

function damaged(what: string): GhostsnapError {
  return new GhostsnapError('SNAPSHOT_CORRUPT', `The btrfs send stream is damaged: ${what}.`, {
    hint: 'Run "btrfs scrub start" on the pool, and look for I/O errors in the kernel log.',
  });
}

/** CRC-32C (Castagnoli), reflected, without the usual inversions: what the kernel's send uses. */
const CRC_TABLE = makeCrcTable();

function makeCrcTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let n = 0; n < 256; n += 1) {
    let crc = n;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    }
    table[n] = crc >>> 0;
  }
  return table;
}

function crc32c(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0);
  return crc >>> 0;
}
