/**
 * Where a walk hands in the files that have to be read.
 *
 * One interface, two ways: at once on this thread, or in batches on worker threads. Whichever it is, the
 * answer comes exactly once through `done`, never while the walk is in the middle of a directory, and the
 * first failure ends the whole capture.
 */
import type { RawPath } from '../../core/raw-path.ts';
import type { CapturedFile, FileCapturer } from './capture-file.ts';
import type { ContentRef } from './stored-entry.ts';

export interface CaptureJob {
  readonly path: RawPath;
  /** What the path held in the snapshot before; null when unknown. */
  readonly previous: ContentRef | null;
  /** It is closed to its owner, and that it is opened for a moment was announced. */
  readonly isAnnounced: boolean;
  /** null: no regular file is there any more, or it has to be looked at again. */
  readonly done: (captured: CapturedFile | null) => void;
}

export interface CaptureSink {
  submit(job: CaptureJob): void;
  /** The walk stops handing in until it is not full any more. */
  readonly isFull: boolean;
  /** Every job was answered. */
  readonly isIdle: boolean;
  /** Resolves when an answer came; rejects with the first failure. */
  wait(): Promise<void>;
  close(): Promise<void>;
}

/** Captures on the calling thread. */
export class DirectSink implements CaptureSink {
  readonly isFull = false;
  readonly isIdle = true;
  readonly #capturer: FileCapturer;

  constructor(capturer: FileCapturer) {
    this.#capturer = capturer;
  }

  submit(job: CaptureJob): void {
    job.done(this.#capturer.capture(job));
  }

  /** Nothing is ever outstanding. */
  async wait(): Promise<void> {}

  async close(): Promise<void> {}
}
