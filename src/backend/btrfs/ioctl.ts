/**
 * The btrfs ioctls that ghostsnap uses, and the layout of their structs.
 *
 * Numbers and offsets are those of include/uapi/linux/btrfs.h; they are the same on every 64-bit
 * architecture, little endian. Synchronous calls share one buffer a struct, as nothing can come
 * between filling it and the return of the call; a threaded call takes a buffer from a pool and
 * gives it back when it settles. Functions throw `SyscallError`; callers name the path.
 */
import { assert } from '../../core/errors.ts';
import { SyscallError } from '../syscall-error.ts';
import { ioctlSync } from '../syscalls-linux.ts';
import { ioctlAsync, ioctlAsyncOnce } from '../threaded-ioctl.ts';

const IOC_SYNC = 0x9408;
const IOC_SUBVOL_SETFLAGS = 0x4008941a;
const IOC_SUBVOL_GETFLAGS = 0x80089419;
const IOC_WAIT_SYNC = 0x40089416;
const IOC_START_SYNC = 0x80089418;
const IOC_SEND = 0x40489426;
const IOC_SNAP_CREATE_V2 = 0x50009417;
const IOC_SUBVOL_CREATE_V2 = 0x50009418;
const IOC_SNAP_DESTROY_V2 = 0x5000943f;
const IOC_GET_SUBVOL_INFO = 0x81f8943c;
const IOC_FS_INFO = 0x8400941f;
const IOC_INO_LOOKUP = 0xd0009412;
const IOC_GET_SUBVOL_ROOTREF = 0xd000943d;

/** The root directory of every subvolume has this inode number. */
export const SUBVOLUME_ROOT_INO = 256;

/** struct btrfs_ioctl_vol_args_v2: s64 fd, u64 transid, u64 flags, 32 bytes unused, char name[4040]. */
const VOL_ARGS_BYTES = 4096;
const VOL_FD = 0;
const VOL_FLAGS = 16;
const VOL_NAME = 56;
const VOL_NAME_BYTES_MAX = 255;
const SUBVOL_RDONLY = 2;
/** The id takes the place of the name. */
const SUBVOL_SPEC_BY_ID = 16;

const volArgs = Buffer.alloc(VOL_ARGS_BYTES);

function fillVolArgs(args: Buffer, name: string, sourceFd: number, flags: number): void {
  assert(name.length <= VOL_NAME_BYTES_MAX, 'a subvolume name fits a directory entry');
  args.writeInt32LE(sourceFd, VOL_FD);
  args.writeInt32LE(sourceFd < 0 ? -1 : 0, VOL_FD + 4);
  args.writeUInt32LE(flags, VOL_FLAGS);
  const length = args.write(name, VOL_NAME, 'latin1');
  args[VOL_NAME + length] = 0;
}

export interface SnapshotCall {
  /** The directory that gets the snapshot. */
  readonly parentFd: number;
  /** Any descriptor of the subvolume's root. */
  readonly sourceFd: number;
  /** One path component, a unit a byte. */
  readonly name: string;
  readonly access: 'read-only' | 'writable';
}

/** Commits a transaction: the snapshot survives power loss on return. Flushes dirty data first. */
export function createSubvolumeSnapshotSync(call: SnapshotCall): void {
  fillVolArgs(volArgs, call.name, call.sourceFd, call.access === 'read-only' ? SUBVOL_RDONLY : 0);
  ioctlSync(call.parentFd, IOC_SNAP_CREATE_V2, volArgs, 'BTRFS_IOC_SNAP_CREATE_V2');
}

/** Buffers of threaded calls that have settled; as many as there ever were calls in flight. */
const idleVolArgs: Buffer[] = [];

/**
 * The same on a thread of libuv's pool, so that snapshots of different workspaces share one commit.
 * Both descriptors must stay open until it settles.
 */
export async function createSubvolumeSnapshot(call: SnapshotCall): Promise<void> {
  const { parentFd, sourceFd, name } = call;
  const flags = call.access === 'read-only' ? SUBVOL_RDONLY : 0;
  await withVolArgs({ name, sourceFd, flags }, (args) =>
    ioctlAsync({
      ...{ fd: parentFd, request: IOC_SNAP_CREATE_V2, arg: args },
      name: 'BTRFS_IOC_SNAP_CREATE_V2',
    }),
  );
}

async function withVolArgs(
  values: { readonly name: string; readonly sourceFd: number; readonly flags: number },
  call: (args: Buffer) => Promise<number>,
): Promise<void> {
  const args = idleVolArgs.pop() ?? Buffer.alloc(VOL_ARGS_BYTES);
  fillVolArgs(args, values.name, values.sourceFd, values.flags);
  try {
    await call(args);
  } finally {
    idleVolArgs.push(args);
  }
}

/** Makes an empty writable subvolume. */
export function createSubvolume(parentFd: number, name: string): void {
  fillVolArgs(volArgs, name, 0, 0);
  ioctlSync(parentFd, IOC_SUBVOL_CREATE_V2, volArgs, 'BTRFS_IOC_SUBVOL_CREATE_V2');
}

/**
 * Removes a subvolume whole; its blocks come back in the background. Without privilege it needs the
 * mount option user_subvol_rm_allowed and a writable subvolume. ENOTEMPTY: it holds another one.
 * On a thread, as it waits for transactions of others; the descriptor must stay open until it settles.
 */
export async function destroySubvolume(parentFd: number, name: string): Promise<void> {
  await withVolArgs({ name, sourceFd: 0, flags: 0 }, (args) =>
    ioctlAsync({
      ...{ fd: parentFd, request: IOC_SNAP_DESTROY_V2, arg: args },
      name: 'BTRFS_IOC_SNAP_DESTROY_V2',
    }),
  );
}

/**
 * The same of the subvolume with this id, whatever has its name by now; it must be below the directory behind
 * `parentFd`. ENOENT: it is gone.
 */
export async function destroySubvolumeById(parentFd: number, id: bigint): Promise<void> {
  await withVolArgs({ name: '', sourceFd: 0, flags: SUBVOL_SPEC_BY_ID }, (args) => {
    args.writeBigUInt64LE(id, VOL_NAME);
    return ioctlAsync({
      ...{ fd: parentFd, request: IOC_SNAP_DESTROY_V2, arg: args },
      name: 'BTRFS_IOC_SNAP_DESTROY_V2',
    });
  });
}

const u64 = Buffer.alloc(8);

export function isReadOnlySubvolume(fd: number): boolean {
  ioctlSync(fd, IOC_SUBVOL_GETFLAGS, u64, 'BTRFS_IOC_SUBVOL_GETFLAGS');
  return (u64.readUInt32LE(0) & SUBVOL_RDONLY) !== 0;
}

export function setSubvolumeAccess(fd: number, access: 'read-only' | 'writable'): void {
  u64.writeBigUInt64LE(access === 'read-only' ? 2n : 0n, 0);
  ioctlSync(fd, IOC_SUBVOL_SETFLAGS, u64, 'BTRFS_IOC_SUBVOL_SETFLAGS');
}

/**
 * struct btrfs_ioctl_get_subvol_info_args: u64 treeid, char name[256], u64 parent_id, dirid,
 * generation, flags, u8 uuid[16], parent_uuid[16], received_uuid[16], u64 ctransid, otransid,
 * stransid, rtransid, {u64 seconds, u32 nanoseconds} ctime, otime, ...
 */
const SUBVOL_INFO_BYTES = 504;
const INFO_FLAGS = 288;
const INFO_UUID = 296;
const INFO_PARENT_UUID = 312;
const UUID_BYTES = 16;
const INFO_CTRANSID = 344;
const INFO_OTIME = 392;
const subvolInfo = Buffer.alloc(SUBVOL_INFO_BYTES);

function readSubvolInfo(fd: number): Buffer {
  // A positive result is success as well: the kernel returns what its tree search left over.
  ioctlSync(fd, IOC_GET_SUBVOL_INFO, subvolInfo, 'BTRFS_IOC_GET_SUBVOL_INFO');
  return subvolInfo;
}

export interface SubvolumeInfo {
  /** The id of its tree. */
  readonly id: bigint;
  /** 32 hexadecimal digits. */
  readonly uuid: string;
  /** Of the subvolume that this one is a snapshot of; zeros when it is none. */
  readonly parentUuid: string;
  /** The transaction of the last change inside. It does not move when a snapshot is taken of it. */
  readonly ctransid: bigint;
  /** The transaction that made it. A snapshot that nobody wrote into has no later change. */
  readonly otransid: bigint;
  /** When it was made, by the filesystem's own clock; milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly isReadOnly: boolean;
}

/** EINVAL: the descriptor is not on a subvolume (another filesystem gives ENOTTY). */
export function subvolumeInfo(fd: number): SubvolumeInfo {
  const info = readSubvolInfo(fd);
  return {
    id: info.readBigUInt64LE(0),
    uuid: info.toString('hex', INFO_UUID, INFO_UUID + 16),
    parentUuid: info.toString('hex', INFO_PARENT_UUID, INFO_PARENT_UUID + 16),
    ctransid: info.readBigUInt64LE(INFO_CTRANSID),
    otransid: info.readBigUInt64LE(INFO_CTRANSID + 8),
    createdAtMs:
      Number(info.readBigUInt64LE(INFO_OTIME)) * 1000 + info.readUInt32LE(INFO_OTIME + 8) / 1e6,
    isReadOnly: (info.readUInt32LE(INFO_FLAGS) & 1) !== 0,
  };
}

/** The hot path's question: is the subvolume behind `fd` the one with these 16 bytes? */
export function hasUuid(fd: number, uuid: Buffer): boolean {
  const info = readSubvolInfo(fd);
  // Byte by byte, as a comparison of ranges makes objects on the way.
  for (let i = 0; i < UUID_BYTES; i += 1) {
    if (info[INFO_UUID + i] !== uuid[i]) return false;
  }
  return true;
}

/** struct btrfs_ioctl_ino_lookup_args: u64 treeid, u64 objectid, char name[4080]. */
const INO_LOOKUP_BYTES = 4096;
let inoLookup: Buffer | null = null;

/** The id of the subvolume that holds the open file; treeid 0 and the root inode need no privilege. */
export function subvolumeIdOf(fd: number): bigint {
  inoLookup ??= Buffer.alloc(INO_LOOKUP_BYTES);
  inoLookup.writeBigUInt64LE(0n, 0);
  inoLookup.writeBigUInt64LE(BigInt(SUBVOLUME_ROOT_INO), 8);
  ioctlSync(fd, IOC_INO_LOOKUP, inoLookup, 'BTRFS_IOC_INO_LOOKUP');
  return inoLookup.readBigUInt64LE(0);
}

/**
 * struct btrfs_ioctl_get_subvol_rootref_args: u64 min_treeid, {u64 treeid, u64 dirid}[255], u8
 * num_items. EOVERFLOW with a full table means that there are more, and moves min_treeid on: made again
 * for its errno (failed-call.ts) it finds those, of which there is one at least.
 */
const ROOTREF_BYTES = 4096;
const ROOTREF_COUNT = 4088;

/** Whether other subvolumes lie directly in this one. The descriptor is its root's. No privilege. */
export function hasNestedSubvolumes(fd: number): boolean {
  const args = Buffer.alloc(ROOTREF_BYTES);
  try {
    ioctlSync(fd, IOC_GET_SUBVOL_ROOTREF, args, 'BTRFS_IOC_GET_SUBVOL_ROOTREF');
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'EOVERFLOW') return true;
    throw error;
  }
  return (args[ROOTREF_COUNT] ?? 0) > 0;
}

/** struct btrfs_ioctl_fs_info_args: u64 max_id, num_devices, u8 fsid[16], u32 nodesize, ... */
const FS_INFO_BYTES = 1024;

/** The filesystem's UUID as 32 hexadecimal digits, and its node size in bytes. */
export function filesystemInfo(fd: number): { fsid: string; nodeSizeBytes: number } {
  const info = Buffer.alloc(FS_INFO_BYTES);
  ioctlSync(fd, IOC_FS_INFO, info, 'BTRFS_IOC_FS_INFO');
  return { fsid: info.toString('hex', 16, 32), nodeSizeBytes: info.readUInt32LE(32) };
}

/** Flushes dirty data of the whole filesystem and commits. On a thread: `fd` stays open until it settles. */
export async function syncFilesystem(fd: number): Promise<void> {
  await ioctlAsyncOnce({ fd, request: IOC_SYNC, arg: Buffer.alloc(8), name: 'BTRFS_IOC_SYNC' });
}

/**
 * Commits the running transaction: directory entries made so far survive power loss. No data flush. On a
 * thread, as it waits for the disk; the descriptor must stay open until it settles.
 */
export async function commitTransaction(fd: number): Promise<void> {
  const transaction = Buffer.alloc(8);
  await ioctlAsync({ fd, request: IOC_START_SYNC, arg: transaction, name: 'BTRFS_IOC_START_SYNC' });
  await ioctlAsync({ fd, request: IOC_WAIT_SYNC, arg: transaction, name: 'BTRFS_IOC_WAIT_SYNC' });
}

/**
 * struct btrfs_ioctl_send_args: s64 send_fd, u64 clone_sources_count, u64 clone_sources (pointer),
 * u64 parent_root, u64 flags, u32 version, 28 bytes reserved.
 */
const SEND_ARGS_BYTES = 72;
const SEND_NO_FILE_DATA = 1n;

/**
 * Writes the stream of commands that turns the read-only subvolume with id `parentId` into the one
 * behind `fd` to the file `toFd`, from its start, without file contents. Root only (EPERM). Runs on a
 * thread; the descriptors must stay open until it settles. Version 1 of the stream, as no version is
 * asked for.
 */
export async function sendWithoutData(call: {
  readonly fd: number;
  readonly toFd: number;
  readonly parentId: bigint;
}): Promise<void> {
  const args = Buffer.alloc(SEND_ARGS_BYTES);
  args.writeBigInt64LE(BigInt(call.toFd), 0);
  args.writeBigUInt64LE(call.parentId, 24);
  args.writeBigUInt64LE(SEND_NO_FILE_DATA, 32);
  await ioctlAsyncOnce({ fd: call.fd, request: IOC_SEND, arg: args, name: 'BTRFS_IOC_SEND' });
}
