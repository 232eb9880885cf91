/**
 * A tool call in a directory that is no workspace.
 *
 * A hook cannot ask a person: it may tell them once, or act on what they decided before. What it makes
 * a workspace is the project around the directory, as a store, because the tree must not move away under
 * an agent that already stands in it.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';
import type { AgentConfig } from './agent-config.ts';
import type { Environment, Home } from './home.ts';

export interface AutoInitRequest {
  readonly home: Home;
  readonly environment: Environment;
  readonly config: AgentConfig;
  /** Absolute. */
  readonly directory: string;
}

/** The directory that was made a workspace, or what to tell the person, or neither. */
export interface AutoInitResult {
  readonly made: string | null;
  readonly notice: string | null;
}

const NOTHING: AutoInitResult = { made: null, notice: null };

/** @throws GhostsnapError what `init` throws, when the person wants workspaces made */
export async function autoInit(request: AutoInitRequest): Promise<AutoInitResult> {
  const { config, environment } = request;
  if (config.autoInit === 'never') return NOTHING;
  const project = projectAround(request.directory);
  if (config.autoInit === 'ask') return { made: null, notice: noticeOnce(request.home, project) };
  const { initWorkspace } = await import('./init-workspace.ts');
  try {
    const made = await initWorkspace({ path: project, backend: 'store', environment });
    return { made: made.path, notice: null };
  } catch (error) {
    // A home directory or / is nobody's project: agents work there unprotected, as the person is told.
    if (!(error instanceof GhostsnapError) || error.code !== 'DANGEROUS_WORKSPACE') throw error;
    return { made: null, notice: noticeOnce(request.home, project) };
  }
}

/** The nearest directory upwards that holds a `.git`, else the directory itself. */
function projectAround(directory: string): string {
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    if (fs.existsSync(path.join(at, '.git'))) return at;
    if (at === path.dirname(at)) return path.resolve(directory);
  }
}

function noticeOnce(home: Home, project: string): string | null {
  const name = createHash('sha256').update(project).digest('hex').slice(0, 24);
  const mark = path.join(home.data, 'hooks', 'told', name);
  if (fs.existsSync(mark)) return null;
  fs.mkdirSync(path.dirname(mark), { recursive: true, mode: 0o700 });
  fs.writeFileSync(mark, `${project}\n`, { mode: 0o600 });
  return (
    `ghostsnap does not protect ${project} yet. Protect it with "ghostsnap init ${project}"; ` +
    'this is said once.'
  );
}
