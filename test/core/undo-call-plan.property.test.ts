import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RawPath } from '../../src/core/raw-path.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';
import { planPath } from '../../src/core/undo-call-plan.ts';
import { mergeLines } from '../../src/engine/merge-lines.ts';
import { entry } from './change-samples.ts';

const mode = fc.constantFrom(0o600, 0o644, 0o755);
const uid = fc.nat(2);
const someEntry = fc.record({ mode, uid }).map((fields) => entry(fields));

function change(from: TreeChange['from'], to: TreeChange['to'], isModified: boolean): TreeChange {
  const fields = [
    ...(from?.mode === to?.mode ? [] : (['mode'] as const)),
    ...(from?.uid === to?.uid ? [] : (['owner'] as const)),
  ];
  const both = isModified ? 'modified' : 'metadata';
  const kind = from === null ? 'added' : to === null ? 'deleted' : both;
  return { path: 'a' as RawPath, kind, from, to, fields };
}

describe('planPath()', () => {
  it('gives back the state before, whole, where nothing changed since', () => {
    fc.assert(
      fc.property(fc.option(someEntry), fc.option(someEntry), fc.boolean(), (before, after, is) => {
        if (before === null && after === null) return;
        const steps = planPath({
          ...{ change: change(before, after, is), later: null, isInTheWay: false },
        });
        const [step] = steps;
        if (before === null) expect(step).toMatchObject({ type: 'remove' });
        else expect(step).toMatchObject({ type: 'restore', entry: before });
      }),
    );
  });

  it('takes each attribute from the side that changed it, and conflicts when both did', () => {
    fc.assert(
      fc.property(someEntry, someEntry, someEntry, (before, after, now) => {
        const later = change(after, now, true);
        const steps = planPath({
          ...{ change: change(before, after, false), later, isInTheWay: false },
        });
        const [step] = steps;
        const bothMode = before.mode !== after.mode && after.mode !== now.mode;
        const bothOwner = before.uid !== after.uid && after.uid !== now.uid;
        const isClash =
          (bothMode && before.mode !== now.mode) || (bothOwner && before.uid !== now.uid);
        if (isClash) expect(step).toMatchObject({ type: 'conflict' });
        else {
          expect(step).toMatchObject({
            type: 'attributes',
            entry: {
              mode: before.mode === after.mode ? now.mode : before.mode,
              uid: before.uid === after.uid ? now.uid : before.uid,
            },
          });
        }
      }),
    );
  });
});

describe('mergeLines()', () => {
  const line = fc.constantFrom('a\n', 'b\r\n', '\xe9\n', '\n', '__proto__\n', 'constructor\n');
  const text = fc
    .tuple(fc.array(line, { maxLength: 12 }), fc.constantFrom('', 'end'))
    .map(([lines, end]) => Buffer.from(lines.join('') + end, 'latin1'));

  it('gives the changed side where the other did not change, byte for byte', () => {
    fc.assert(
      fc.property(text, text, (base, other) => {
        const same = { ok: true, content: other };
        expect(mergeLines({ base, ours: other, theirs: base })).toEqual(same);
        expect(mergeLines({ base, ours: base, theirs: other })).toEqual(same);
        expect(mergeLines({ base, ours: other, theirs: other })).toEqual(same);
      }),
    );
  });

  it('keeps both of two changes that are apart, and never invents a line', () => {
    const middle = Array.from({ length: 4 }, (_, i) => `m${i}\n`).join('');
    fc.assert(
      fc.property(text, text, text, text, (top, newTop, bottom, newBottom) => {
        const join = (a: Buffer, b: Buffer): Buffer =>
          Buffer.concat([a, Buffer.from(`\n${middle}`), b]);
        const merged = mergeLines({
          base: join(top, bottom),
          ours: join(newTop, bottom),
          theirs: join(top, newBottom),
        });
        expect(merged).toEqual({ ok: true, content: join(newTop, newBottom) });
      }),
    );
  });

  it('refuses what would take too long, or is binary', () => {
    const many = (last: string): Buffer => Buffer.from(`${last}${'\n'.repeat(40_000)}${last}`);
    const sides = { base: many('a'), ours: many('b'), theirs: many('c') };
    expect(mergeLines(sides)).toMatchObject({ ok: false });
    const binary = Buffer.from([0, 1]);
    expect(mergeLines({ base: binary, ours: binary, theirs: binary })).toMatchObject({
      ...{ ok: false, reason: 'binary: both changed it' },
    });
  });
});
