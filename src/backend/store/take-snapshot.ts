/**
 * Taking one snapshot: look, stage, make durable, publish.
 *
 * The manifest is written last, when every object it refers to is on disk under its name; until then
 * nothing exists that a listing shows. The objects' lock is held shared throughout, so nothing that was
 * found is swept meanwhile. The blocking and the asynchronous form differ in who waits, not in what
 * happens.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { assert, GhostsnapError } from '../../core/errors.ts';
import type { SnapshotId } from '../../core/ids.ts';
import { comparePaths, type RawPath, ROOT_PATH, rawFromText } from '../../core/raw-path.ts';
import type { CreateResult, UncoveredPath, WorkOptions, WorkspaceRef } from '../backend.ts';
import { type DirectoryTree, openDirectoryTree } from '../directory-tree.ts';
import { isThere } from '../is-there.ts';
import { giveBackLeftOpen, OpenedModes } from '../opened-modes.ts';
import { interrupted, toGhostsnapError } from '../syscall-failure.ts';
import { filesystemMagic } from '../syscalls-inode-linux.ts';

import { FileCapturer } from './capture-file.ts';
import { CapturePool } from './capture-pool.ts';
import { type CaptureSink, DirectSink } from './capture-sink.ts';
import { writeDurably } from './durable-file.ts';
import type { LiveState, LookPlan } from './live-state.ts';
import { encodeManifest } from './manifest.ts';
import { manifestsStamp } from './manifest-files.ts';
import { ObjectFiles } from './object-files.ts';
import { ObjectTransaction } from './object-transaction.ts';
import { lockObjects, lockObjectsSync } from './objects-lock.ts';
import { isIndexFailure } from './scan-frame.ts';
import { manifestPath, objectsLockPath, objectsPath, workspacePaths } from './store-layout.ts';
import type { StoredEntry } from './stored-entry.ts';
import { type ScanPause, TreeScan } from './tree-scan.ts';
import { requireWorkspace } from './workspace-record.ts';
import { filesWithSharedMappings } from './writable-mappings.ts';

/** Looks at a tree that moves under the walk; then it is captured as it was seen last. */
const PASSES_MAX = 3;

export type StepHook = (label: string) => void;

export interface SnapshotRequest {
  readonly ref: WorkspaceRef;
  readonly id: SnapshotId;
  readonly state: LiveState;
  readonly nowMs: () => number;
  /** Labelled steps, for tests that kill the process there. */
  readonly onStep: StepHook;
}

interface Scanned {
  readonly scan: TreeScan;
  readonly plan: LookPlan;
}

/** The open parts of a snapshot in the making. */
const NOTHING: ReadonlySet<RawPath> = new Set();
const TMPFS_MAGIC = 0x01021994;

class Making implements Disposable {
  readonly #held: DisposableStack;
  readonly request: SnapshotRequest;
  readonly tree: DirectoryTree;
  readonly root: StoredEntry;
  readonly files: ObjectFiles;
  readonly transaction: ObjectTransaction;
  readonly capturer: FileCapturer;
  readonly opened: OpenedModes;
  plan: LookPlan | null = null;
  /** Before anything was looked at. */
  startedAtMs = 0;
  /** Files that are mapped writable where no flush shows what is stored to them. */
  withoutEvidence: ReadonlySet<RawPath> = NOTHING;

  constructor(request: SnapshotRequest) {
    const { ref, id } = request;
    const paths = workspacePaths(ref.poolRoot, ref.id);
    if (isThere(manifestPath(paths, id))) throw duplicateId(id);
    requireWorkspace(ref);
    const { onStep } = request;
    const modes = { announcement: paths.openedModes, livePath: ref.path, onStep };
    // Before anything is read: what a killed process left open is captured as it was.
    giveBackLeftOpen(modes);
    using held = new DisposableStack();
    this.request = request;
    this.opened = held.use(new OpenedModes(modes));
    this.opened.openRoot();
    this.tree = held.use(openDirectoryTree(ref.path, 'live'));
    this.root = rootEntry(this.tree, this.opened);
    this.files = held.use(new ObjectFiles(objectsPath(ref.poolRoot)));
    this.transaction = held.use(new ObjectTransaction(this.files, `${paths.working}/${id}`));
    const { writer } = this.transaction;
    this.capturer = new FileCapturer(this.tree, this.files, writer, onStep);
    this.#held = held.move();
  }

  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]();
  }
}

/** @throws GhostsnapError POOL_FULL, CAPTURE_FAILED, WORKSPACE_GONE, WORKSPACE_REPLACED, LOCKED */
export function takeSnapshotSync(request: SnapshotRequest): CreateResult {
  using _lock = lockObjectsSync(objectsLockPath(request.ref.poolRoot), 'shared');
  using making = new Making(request);
  try {
    const steps = look(making, new DirectSink(making.capturer));
    let step = steps.next();
    while (step.done !== true) {
      assert(step.value !== 'wait', 'nothing is outstanding when files are captured at once');
      step = steps.next();
    }
    request.onStep('snapshot:scanned');
    making.transaction.commitSync();
    return publish(making, step.value);
  } catch (error) {
    throw failed(making, error);
  }
}

/** As `takeSnapshotSync`, with workers where there is much to read. @throws also INTERRUPTED */
export async function takeSnapshot(
  request: SnapshotRequest,
  options: WorkOptions,
): Promise<CreateResult> {
  using _lock = await lockObjects(objectsLockPath(request.ref.poolRoot), 'shared');
  using making = new Making(request);
  const { tree, files, transaction, capturer } = making;
  const sink = new CapturePool({
    capturer,
    setup: {
      rootFd: tree.rootFd,
      objectsPath: files.path,
      objectsFd: files.fd,
      workingFd: transaction.fd,
    },
    onObjects: ({ directory, staged, relied }) => {
      transaction.addStaged(directory, staged);
      transaction.addRelied(relied);
    },
  });
  try {
    const scanned = await lookWithPauses(making, sink, options);
    request.onStep('snapshot:scanned');
    await transaction.commit();
    return publish(making, scanned);
  } catch (error) {
    throw failed(making, error);
  } finally {
    // Before the transaction's directory goes: no worker may still be writing there.
    await sink.close();
  }
}

async function lookWithPauses(
  making: Making,
  sink: CapturePool,
  options: WorkOptions,
): Promise<Scanned> {
  const progress = { seen: 0, total: making.request.state.knownEntries() };
  const steps = look(making, sink, (scan) => {
    progress.seen = scan.entriesSeen;
  });
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (options.signal?.aborted === true) throw interrupted('The snapshot');
    if (step.value === 'wait') {
      assert(!sink.isIdle, 'a scan waits only for what is outstanding');
      await sink.wait();
    } else {
      await nextTurn();
    }
    options.onProgress?.(progress.seen, progress.total);
  }
}

function failed(making: Making, error: unknown): Error {
  if (making.plan !== null) making.request.state.giveBack(making.plan);
  const context = { what: 'Taking the snapshot', path: '', fallback: 'CAPTURE_FAILED' as const };
  return toGhostsnapError(error, context);
}

/** The scan, again without the index where that turns out wrong, again when the tree was moving. */
function* look(
  making: Making,
  sink: CaptureSink,
  onPause: (scan: TreeScan) => void = () => {},
): Generator<ScanPause, Scanned> {
  const { state, nowMs, ref } = making.request;
  making.startedAtMs = nowMs();
  const canFlush = filesystemMagic(making.tree.rootFd) !== TMPFS_MAGIC;
  const mapped =
    canFlush && state.watcher === null ? NOTHING : filesWithSharedMappings(rawFromText(ref.path));
  if (!canFlush) making.withoutEvidence = mapped;
  let plan = yield* state.planLook(making.tree, mapped);
  making.plan = plan;
  for (let pass = 1; ; pass += 1) {
    const scan = scanOf(making, sink, plan);
    try {
      for (const pause of scan.run()) {
        onPause(scan);
        yield pause;
      }
    } catch (error) {
      if (!isIndexFailure(error) || plan.oldBlocks.size === 0) throw error;
      plan = state.forgetIndex();
      making.plan = plan;
      continue;
    }
    const wider = state.withOtherNames(plan, scan);
    if (wider !== plan) {
      // From the beginning, with what was known then: nobody knows the first look's blocks yet.
      plan = wider;
      continue;
    }
    if (scan.vanished === 0 || pass >= PASSES_MAX) return { scan, plan };
    // Names came and went under the walk, and may have come where it had already been: once more,
    // everything, with what was just seen as the index.
    plan = { ...plan, scope: null, oldBlocks: scanned(scan, plan) };
  }
}

function scanned(scan: TreeScan, plan: LookPlan): LookPlan['oldBlocks'] {
  return plan.scope === null ? scan.updated : new Map([...plan.oldBlocks, ...scan.updated]);
}

function scanOf(making: Making, sink: CaptureSink, plan: LookPlan): TreeScan {
  const { tree, files, transaction, request } = making;
  const { watcher } = request.state;
  return new TreeScan({
    tree,
    files,
    writer: transaction.writer,
    sink,
    oldBlocks: plan.oldBlocks,
    scope: plan.scope?.root ?? null,
    opened: making.opened,
    startedAtMs: making.startedAtMs,
    withoutEvidence: making.withoutEvidence,
    ...(watcher === null
      ? {}
      : {
          onDirectory: (path, fd) => watcher.watch(path, fd),
          needsFullLook: (path) => plan.moved.hasExact(path) || !watcher.isWatched(path),
        }),
  });
}

function publish(making: Making, { scan, plan }: Scanned): CreateResult {
  const { request, root, transaction } = making;
  const { ref, id, state } = request;
  request.onStep('snapshot:objects-durable');
  const paths = workspacePaths(ref.poolRoot, ref.id);
  const uncovered = inWalkOrder([...state.uncoveredAfter(scan, plan), ...scan.unsettled]);
  const manifest = encodeManifest({
    snapshot: id,
    workspace: ref.id,
    createdAtMs: Math.floor(request.nowMs()),
    entries: scan.root.subtreeEntries,
    contentBytes: scan.root.subtreeBytes,
    root: { ...root, child: scan.root.id },
    uncovered,
  });
  const before = manifestsStamp(paths);
  writeDurably({
    path: manifestPath(paths, id),
    bytes: manifest,
    temporaryPath: `${paths.working}/${id}/manifest`,
  });
  const stamps = { before, after: manifestsStamp(paths) };
  transaction.complete();
  request.onStep('snapshot:published');
  making.plan = null;
  state.adopt(scan, plan, id);
  return { uncovered, stamps };
}

function inWalkOrder(paths: UncoveredPath[]): UncoveredPath[] {
  return paths.sort((a, b) => comparePaths(a.path, b.path));
}

/** The root itself: taken before its entries are, so that its mtime is not younger than they are. */
function rootEntry(tree: DirectoryTree, opened: OpenedModes): StoredEntry {
  const { mtimeNs, ...root } = tree.root();
  const mtimeNsec = Number(((mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n);
  return {
    name: root.name,
    type: 'dir',
    mode: opened.announced(ROOT_PATH)?.mode ?? root.mode,
    uid: root.uid,
    gid: root.gid,
    sizeBytes: 0,
    mtimeSec: Number((mtimeNs - BigInt(mtimeNsec)) / 1_000_000_000n),
    mtimeNsec,
    rdev: 0,
    flags: root.flags ?? 0,
    linkGroup: 0,
    nlink: 1,
    content: null,
    child: '',
    target: '',
    xattrs: tree.readXattrs(ROOT_PATH),
  };
}

function duplicateId(id: SnapshotId): GhostsnapError {
  return new GhostsnapError('BAD_ID', `The snapshot id ${id} is used already.`, {
    data: { snapshot: id },
    hint: 'Use a new id for every snapshot.',
  });
}
