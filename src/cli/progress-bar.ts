/**
 * A progress bar on standard error, for work that turns out to take long.
 *
 * It appears once the work has run for a second, only on a terminal, and goes when disposed. The
 * drawing library is loaded when the first bar is about to be shown, never before.
 */
import type { Output } from './output.ts';

const APPEARS_AFTER_MS = 1000;

export interface ProgressBar extends Disposable {
  readonly onProgress: (done: number, total: number | null) => void;
}

interface Drawn {
  update(done: number): void;
  setTotal(total: number): void;
  stop(): void;
}

/** Where a bar is drawn, and the clock that decides when. */
export interface ProgressStage {
  readonly stream: NodeJS.WritableStream;
  readonly nowMs: () => number;
}

const STANDARD_ERROR: ProgressStage = { stream: process.stderr, nowMs: () => performance.now() };

export function progressBar(output: Output, label: string, stage = STANDARD_ERROR): ProgressBar {
  if (!output.isNoteTerminal) return { onProgress: () => {}, [Symbol.dispose]: () => {} };
  const startedMs = stage.nowMs();
  let bar: Drawn | null = null;
  let state: 'waiting' | 'loading' | 'drawn' | 'stopped' = 'waiting';
  const last = { done: 0, total: null as number | null };

  const draw = async (): Promise<void> => {
    const { default: cliProgress } = await import('cli-progress');
    if (state === 'stopped') return;
    const single = new cliProgress.SingleBar({
      format: barFormat(label, last.total),
      stream: stage.stream,
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
      etaBuffer: 200,
    });
    single.start(last.total ?? 0, last.done);
    bar = single;
    state = 'drawn';
  };

  const onProgress = (done: number, total: number | null): void => {
    last.done = done;
    if (total !== null && total !== last.total) {
      last.total = total;
      bar?.setTotal(total);
    }
    bar?.update(done);
    if (state === 'waiting' && stage.nowMs() - startedMs >= APPEARS_AFTER_MS) {
      state = 'loading';
      // A bar that cannot be loaded is no reason to stop the work it would show.
      draw().catch(() => {
        state = 'stopped';
      });
    }
  };
  const stop = (): void => {
    state = 'stopped';
    bar?.stop();
  };
  return { onProgress, [Symbol.dispose]: stop };
}

function barFormat(label: string, total: number | null): string {
  if (total === null) return `${label}: {value} entries, {duration_formatted}`;
  return `${label} [{bar}] {percentage}% | {value}/{total} | {eta_formatted} left`;
}
