/** A workspace in a store, opened in this process, in a temporary folder of its own. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';

export interface OpenStore extends AsyncDisposable {
  readonly workspace: Workspace;
  /** The workspace's directory. */
  readonly path: string;
}

/** `notes.txt` is in it. */
export async function openStore(): Promise<OpenStore> {
  const base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-agent-'));
  const path = join(base, 'project');
  mkdirSync(path);
  writeFileSync(join(path, 'notes.txt'), 'as it was\n');
  const environment = {
    env: { GHOSTSNAP_HOME: join(base, 'home') },
    ...{ cwd: path, homeDir: base, uid: process.getuid?.() ?? 0 },
  };
  await initWorkspace({ path, backend: 'store', environment });
  const workspace = await openWorkspace({ workspace: path, environment });
  return {
    ...{ workspace, path },
    [Symbol.asyncDispose]: async () => {
      await workspace.close();
      rmSync(base, { recursive: true, force: true });
    },
  };
}
