/** A restore that is interrupted at one step after the other, and the tree after each. */
import { expect } from 'vitest';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import type { Protected } from '../never/protected-workspace.ts';

export interface InterruptedRestore {
  readonly target: string;
  readonly paths: readonly string[];
  /** Steps from one interruption to the next. */
  readonly stride: number;
}

/** Until one comes to its end. Expects the tree to be as before, but for the times of directories. */
export async function expectTakenBack(
  place: Protected,
  workspace: Workspace,
  { target, paths, stride }: InterruptedRestore,
): Promise<void> {
  // Turning single paths moves the times of their parents.
  const tree = (): readonly string[] =>
    place.digest().lines.map((line) => {
      const fields = line.split('\t');
      return fields.map((field, i) => (fields[1] === 'dir' && i === 6 ? '' : field)).join('\t');
    });
  const before = tree();
  let interrupted = 0;
  for (let nth = 1; ; nth += stride) {
    const controller = new AbortController();
    let steps = 0;
    const work = workspace.restore(target, paths, {
      signal: controller.signal,
      onStep() {
        steps += 1;
        if (steps === nth) controller.abort();
      },
    });
    const error = await work.then(
      () => null,
      (failure: unknown) => failure,
    );
    if (error === null) break;
    expect(error).toMatchObject({ code: 'INTERRUPTED' });
    expect(tree(), `interrupted at step ${nth}`).toEqual(before);
    interrupted += 1;
  }
  expect(interrupted).toBeGreaterThan(5);
}
