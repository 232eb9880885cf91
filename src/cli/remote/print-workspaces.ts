/** `ghostsnap status --server URL` without a workspace: those that the caller may see. */
import type { CliContext, WorkspaceOptions } from '../cli-context.ts';
import { printableLine } from '../printable-text.ts';
import { allWorkspaces } from './find-workspace.ts';
import { withService } from './with-remote.ts';

/** Columns of a name, so that ids stand below each other. */
const NAME_COLUMNS = 20;

export async function printWorkspaces(
  context: CliContext,
  options: WorkspaceOptions & { readonly server: string },
): Promise<void> {
  const { output } = context;
  await withService(context, options.server, async (client, request) => {
    const isJson = options.json === true;
    const found: unknown[] = [];
    let count = 0;
    for await (const one of allWorkspaces(client, request)) {
      count += 1;
      const { workspace, name, path, status } = one;
      if (isJson) found.push(one);
      else {
        const shown = printableLine(name ?? '-').padEnd(NAME_COLUMNS);
        const note = status === 'active' ? '' : `  ${output.colors.dim(status)}`;
        output.line(`${output.colors.yellow(workspace)}  ${shown}  ${printableLine(path)}${note}`);
      }
    }
    if (isJson) output.json(found);
    else if (count === 0) output.note('The service has no workspaces for you.');
  });
}
