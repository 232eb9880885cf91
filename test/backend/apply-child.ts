/**
 * A process of its own that turns a tree, so that a test can kill it or drop its privileges.
 *
 * argv: live path, source path, the step to die at (0: none), the user to become (0: stay). Prints
 * one JSON line: steps, changes, notes, error code.
 */
import { writeSync } from 'node:fs';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { applyTree } from '../../src/backend/tree-apply.ts';
import { GhostsnapError } from '../../src/core/errors.ts';

const [livePath = '', sourcePath = '', dieAt = '0', uid = '0'] = process.argv.slice(2);
if (uid !== '0') {
  process.setgroups?.([]);
  process.setgid?.(Number(uid));
  process.setuid?.(Number(uid));
}
let steps = 0;
const onStep = (): void => {
  steps += 1;
  if (steps === Number(dieAt)) process.kill(process.pid, 'SIGKILL');
};
const answer: Record<string, unknown> = {};
try {
  using source = openDirectoryTree(sourcePath, 'live');
  const sameContent = () => 'unknown' as const;
  Object.assign(answer, await applyTree({ livePath, source, sameContent, onStep }));
} catch (error) {
  if (!(error instanceof GhostsnapError)) throw error;
  Object.assign(answer, { code: error.code, data: error.data });
}
writeSync(1, `${JSON.stringify({ ...answer, steps })}\n`);
