/**
 * A process of its own (`node --expose-gc`) that works on a tree of so many files in a store, and prints as
 * JSON the most that was alive in its JavaScript heap during each operation, beyond what was before it.
 *
 * What is alive is what a full collection leaves, so the numbers depend neither on when the engine
 * collects by itself nor on the machine. argv: the number of files.
 */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { StoreStage } from './store-stage.ts';

const FILES_PER_DIRECTORY = 100;
/** Measurements of what looks at each file once. */
const MEASURED = 4;

const files = Number(process.argv[2]);
const every = Math.floor(files / MEASURED);
using stage = new StoreStage();
await using backend = await stage.open();
const { ref } = stage;
const peaks: Record<string, { heapBytes: number; measured: number }> = {};
const [first, second, third] = [stage.nextId(), stage.nextId(), stage.nextId()];

fill('first');
await peakOf('first snapshot', (seen) => backend.createSnapshot(ref, first, { onProgress: seen }));
fill('second');
await peakOf('snapshot of what changed', (seen) =>
  backend.createSnapshot(ref, second, { onProgress: seen }),
);
await peakOf('diff', async (seen) => {
  let found = 0;
  for await (const _change of backend.compare(ref, first, second)) {
    found += 1;
    seen(found);
  }
});
await rollBack('rollback of what changed', second);
for (const name of readdirSync(stage.live)) rmSync(join(stage.live, name), { recursive: true });
await backend.createSnapshot(ref, third);
await rollBack('rollback after a wipe', third);
console.log(JSON.stringify(peaks));

async function rollBack(what: string, since: typeof first): Promise<void> {
  await peakOf(what, (seen) => {
    let steps = 0;
    const onStep = (): void => {
      steps += 1;
      seen(steps);
    };
    return backend.applyInPlace(ref, first, { since, onStep });
  });
  for (const i of [0, files - 1]) {
    const found = readFileSync(pathOf(i), 'utf8');
    if (found !== `first ${i}`) throw new Error(`${pathOf(i)} holds "${found}" after the ${what}.`);
  }
  if (statSync(pathOf(1)).ino !== statSync(pathOf(0)).ino) throw new Error('A link was lost.');
}

async function peakOf(
  what: string,
  work: (seen: (done: number) => void) => Promise<unknown>,
): Promise<void> {
  const before = alive();
  const peak = { heapBytes: 0, measured: 0 };
  let last = 0;
  await work((done) => {
    if (Math.floor(done / every) === Math.floor(last / every)) return;
    last = done;
    peak.heapBytes = Math.max(peak.heapBytes, alive() - before);
    peak.measured += 1;
  });
  peaks[what] = peak;
}

function alive(): number {
  if (globalThis.gc === undefined) throw new Error('Run this with --expose-gc.');
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}

/** Of four files the second is another name of the first. */
function fill(content: string): void {
  for (let i = 0; i < files; i += 1) {
    const path = pathOf(i);
    if (i % FILES_PER_DIRECTORY === 0) mkdirSync(dirname(path), { recursive: true });
    if (i % 4 !== 1) writeFileSync(path, `${content} ${i}`);
    else if (!existsSync(path)) linkSync(pathOf(i - 1), path);
  }
}

function pathOf(file: number): string {
  return join(stage.live, `directory-${Math.floor(file / FILES_PER_DIRECTORY)}`, `file-${file}.js`);
}
