/** One operation on a store workspace, in a process of its own; prints its largest resident set, in KiB. */
import { type Environment, initWorkspace, openWorkspace, type Workspace } from '../../src/index.ts';

const { op, environment, path } = JSON.parse(process.argv[2] ?? '{}') as {
  op: string;
  environment: Environment;
  path: string;
};

if (op === 'init') {
  await initWorkspace({ path, backend: 'store', environment });
} else {
  await using workspace = await openWorkspace({ workspace: path, environment });
  await run(workspace);
}
console.log(process.resourceUsage().maxRSS);

async function run(workspace: Workspace): Promise<void> {
  const ids = workspace.list().map(({ id }) => id);
  const [newest] = ids;
  const oldest = ids.at(-1);
  if (newest === undefined || oldest === undefined) throw new Error('There is no snapshot.');
  if (op === 'snapshot') await workspace.snapshot();
  else if (op === 'diff') for await (const _change of workspace.diff(newest));
  else if (op === 'diff-snapshots') for await (const _change of workspace.diff(oldest, newest));
  else await workspace.rollback(oldest, { mode: 'in-place' });
}
