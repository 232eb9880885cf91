/**
 * `node bench/flame-graph.ts [SNAPSHOTS] [FILE.svg]`: what a synchronous snapshot does beside the ioctl.
 *
 * Prints the functions that take most by themselves, in microseconds a snapshot, and writes the flame graph
 * that docs/performance.md shows. The ioctl that makes the snapshot is left out of both: it is most of the
 * time, and nothing of ours. Shares are those of one machine on one day.
 */
import { writeFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector/promises';
import { initWorkspace, SnapshotManager } from '../src/index.ts';
import { makePlace } from './place.ts';
import { makeFiles } from './tree.ts';

const FILES = 1000;
/** Code is compiled in the first ones. */
const WARM_UP = 1000;
const SAMPLE_MICROSECONDS = 100;
const TABLE_LINES = 25;
const SVG = { width: 1200, row: 17, character: 6.6, hiddenBelow: 0.6 };

/** Stacks begin here; what is above belongs to this script. */
const ROOT = 'createSnapshot';
/** The frame of the ioctl itself, and whose it is. */
const LEFT_OUT = 'createSubvolumeSnapshotSync';

/** The part that a frame belongs to, by its file: a colour each. */
const PARTS: readonly (readonly [part: string, url: RegExp, colour: string])[] = [
  ['system calls', /\/src\/backend\/syscall/, '#e8a33d'],
  ['catalog', /\/src\/catalog\//, '#7fb069'],
  ['locks', /\/src\/locks\//, '#d36582'],
  ['core', /\/src\/core\//, '#8d99d6'],
  ['engine', /\/src\/engine\//, '#b8a1d9'],
  ['backend', /\/src\/backend\//, '#f0c987'],
  ['edge', /\/src\/daemon\//, '#a7c6da'],
];
const NODE_COLOUR = '#d9d9d9';

interface Frame {
  readonly name: string;
  readonly url: string;
  selfUs: number;
  totalUs: number;
  readonly below: Map<string, Frame>;
}

async function profileOf(count: number): Promise<Profiler.Profile> {
  await using place = await makePlace({ btrfsMiB: 2048 });
  const workspace = place.makeDirectory(place.btrfs, 'work');
  makeFiles(workspace, FILES);
  const { environment } = place;
  await initWorkspace({ path: workspace, backend: 'btrfs', environment });
  const manager = new SnapshotManager({ workspace, environment });
  await using _closing = manager.workspace;
  for (let i = 0; i < WARM_UP; i += 1) manager.createSnapshot();
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS });
  await session.post('Profiler.start');
  for (let i = 0; i < count; i += 1) manager.createSnapshot();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  return profile;
}

function frame(name: string, url: string): Frame {
  return { name, url, selfUs: 0, totalUs: 0, below: new Map() };
}

/** One tree of all stacks, from `ROOT` on. */
function treeOf(profile: Profiler.Profile): Frame {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const { id, children } of profile.nodes) {
    for (const child of children ?? []) parents.set(child, id);
  }
  const top = frame(ROOT, '');
  for (const [i, sampled] of (profile.samples ?? []).entries()) {
    const stack: Profiler.ProfileNode[] = [];
    for (let id: number | undefined = sampled; id !== undefined; id = parents.get(id)) {
      const node = nodes.get(id);
      if (node !== undefined) stack.unshift(node);
    }
    const from = stack.findIndex(({ callFrame }) => callFrame.functionName === ROOT);
    const isLeftOut = stack.some(({ callFrame }) => callFrame.functionName === LEFT_OUT);
    if (from >= 0 && !isLeftOut) add(top, stack.slice(from + 1), profile.timeDeltas?.[i] ?? 0);
  }
  return top;
}

function add(top: Frame, stack: readonly Profiler.ProfileNode[], us: number): void {
  let at = top;
  at.totalUs += us;
  for (const { callFrame } of stack) {
    const name = callFrame.functionName === '' ? '(anonymous)' : callFrame.functionName;
    const key = `${name} ${callFrame.url}`;
    const next = at.below.get(key) ?? frame(name, callFrame.url);
    at.below.set(key, next);
    next.totalUs += us;
    at = next;
  }
  at.selfUs += us;
}

function tableOf(top: Frame, count: number): string {
  const selfUs = new Map<string, number>();
  const visit = (at: Frame): void => {
    const place = /\/src\/(.*)$/.exec(at.url)?.[1] ?? (at.url === '' ? 'native' : at.url);
    const key = `${at.name} | ${place}`;
    selfUs.set(key, (selfUs.get(key) ?? 0) + at.selfUs);
    for (const child of at.below.values()) visit(child);
  };
  visit(top);
  const lines = [...selfUs]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, TABLE_LINES)
    .map(([key, us]) => {
      const share = ((us / top.totalUs) * 100).toFixed(1);
      return `| ${key} | ${(us / count).toFixed(1)} | ${share} |`;
    });
  const head = `| function | file | µs a snapshot | % |\n| --- | --- | --- | --- |`;
  return `${head}\n${lines.join('\n')}\n\nin all ${(top.totalUs / count).toFixed(0)} µs a snapshot`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function depthOf(at: Frame): number {
  return 1 + Math.max(0, ...[...at.below.values()].map(depthOf));
}

function svgOf(top: Frame, count: number): string {
  const depth = depthOf(top);
  const boxes: string[] = [];
  const draw = (at: Frame, left: number, level: number): void => {
    const width = (at.totalUs / top.totalUs) * SVG.width;
    if (width < SVG.hiddenBelow) return;
    const y = level * SVG.row;
    const colour = PARTS.find(([, url]) => url.test(at.url))?.[2] ?? NODE_COLOUR;
    const text = at.name.slice(0, Math.floor((width - 4) / SVG.character));
    const label =
      text.length < 3
        ? ''
        : `<text x="${(left + 2).toFixed(1)}" y="${y + 12}">${escaped(text)}</text>`;
    const title = `${escaped(at.name)}, ${(at.totalUs / count).toFixed(1)} µs`;
    boxes.push(
      `<g><title>${title}</title><rect x="${left.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" ` +
        `height="${SVG.row - 1}" fill="${colour}"/>${label}</g>`,
    );
    let x = left;
    for (const child of at.below.values()) {
      draw(child, x, level + 1);
      x += (child.totalUs / top.totalUs) * SVG.width;
    }
  };
  draw(top, 0, 0);
  const legend = PARTS.map(
    ([part, , colour], i) =>
      `<rect x="${i * 120}" y="${(depth + 1) * SVG.row}" width="12" height="12" fill="${colour}"/>` +
      `<text x="${i * 120 + 16}" y="${(depth + 1) * SVG.row + 10}">${part}</text>`,
  );
  const height = (depth + 2) * SVG.row;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SVG.width} ${height}" ` +
    `font-family="monospace" font-size="11">\n${[...boxes, ...legend].join('\n')}\n</svg>\n`
  );
}

const count = Number(process.argv[2] ?? '3000');
const file = process.argv[3];
const top = treeOf(await profileOf(count));
console.log(tableOf(top, count));
if (file !== undefined) writeFileSync(file, svgOf(top, count));
