/**
 * The worker thread that captures files: batches of paths in, what they held out.
 *
 * Threads of one process share descriptors, so a worker works through the root, the objects and the
 * transaction that its parent holds open; it opens nothing by an absolute path and closes only what it
 * opened. It must not know of directories, snapshots or the index.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { GhostsnapError } from '../../core/errors.ts';
import type { RawPath } from '../../core/raw-path.ts';
import { DirectoryTree } from '../directory-tree.ts';
import { dupFd } from '../syscalls-linux.ts';
import { FileCapturer } from './capture-file.ts';
import { ObjectFiles } from './object-files.ts';
import { ObjectWriter } from './object-writer.ts';
import type { ContentRef } from './stored-entry.ts';

export interface WorkerSetup {
  readonly rootFd: number;
  readonly objectsPath: string;
  readonly objectsFd: number;
  readonly workingFd: number;
}

export interface CaptureBatch {
  readonly batch: number;
  readonly paths: readonly RawPath[];
  readonly previous: readonly (ContentRef | null)[];
  readonly announced: readonly boolean[];
}

/** Results in the order of the paths; an error in place of them ends the capture. */
export interface CaptureReply {
  readonly batch: number;
  readonly results: readonly ReturnType<FileCapturer['capture']>[];
  /** Objects that were staged, and the directory they are in. */
  readonly directory: string;
  readonly staged: readonly string[];
  /** Directories of `objects/` in which objects were found and referred to. */
  readonly relied: readonly string[];
  readonly failure: unknown;
}

function serve(setup: WorkerSetup, port: NonNullable<typeof parentPort>): void {
  const tree = new DirectoryTree(dupFd(setup.rootFd), 'live');
  const files = new ObjectFiles(setup.objectsPath, setup.objectsFd);
  const writer = new ObjectWriter(files, setup.workingFd);
  const capturer = new FileCapturer(tree, files, writer);
  port.on('message', (message: CaptureBatch | 'stop') => {
    if (message === 'stop') {
      writer[Symbol.dispose]();
      tree[Symbol.dispose]();
      port.close();
      return;
    }
    port.postMessage(captureBatch(capturer, writer, message));
  });
}

function captureBatch(
  capturer: FileCapturer,
  writer: ObjectWriter,
  { batch, paths, previous, announced }: CaptureBatch,
): CaptureReply {
  try {
    const results = paths.map((path, i) =>
      capturer.capture({
        path,
        previous: previous[i] ?? null,
        isAnnounced: announced[i] ?? false,
      }),
    );
    const { directory } = writer;
    const staged = writer.takeStaged();
    return { batch, results, directory, staged, relied: writer.takeRelied(), failure: null };
  } catch (error) {
    // Classes do not survive the way between threads: a known error travels as its parts.
    const failure =
      error instanceof GhostsnapError
        ? { code: error.code, message: error.message, data: error.data, hint: error.hint }
        : error;
    return { batch, results: [], directory: '', staged: [], relied: [], failure };
  }
}

if (parentPort !== null) serve(workerData as WorkerSetup, parentPort);
