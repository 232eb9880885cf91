/**
 * How much of the program a command loads. Start-up is paid before every tool call of an agent, and it
 * creeps: one import of a diff library by a module that everybody needs, and each snapshot has it.
 *
 * Modules are counted and not milliseconds: the built files that Node loads, and the sources in them.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { makeCliWorkspace } from './cli-workspace.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/ghostsnap.js', import.meta.url));
const RECORDER = fileURLToPath(new URL('./record-loaded.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Loaded {
  /** Files that Node found, read and linked. */
  readonly files: readonly string[];
  /** Sources in them, relative to the package. */
  readonly sources: readonly string[];
}

function loadedBy(args: readonly string[], env: NodeJS.ProcessEnv, cwd: string): Loaded {
  const directory = mkdtempSync(join(tmpdir(), 'ghostsnap-loaded-'));
  const list = join(directory, 'list');
  try {
    execFileSync(process.execPath, ['--import', RECORDER, PROGRAM, ...args], {
      ...{ cwd, stdio: 'pipe', input: '' },
      env: { ...process.env, ...env, LOADED_FILE: list },
    });
    const urls = readFileSync(list, 'utf8').split('\n');
    const files = [...new Set(urls)]
      .filter((url) => url.startsWith('file:'))
      .map((url) => fileURLToPath(url));
    return { files, sources: files.flatMap(sourcesIn).sort() };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The bundler says before each source which it is. */
function sourcesIn(file: string): string[] {
  if (!file.startsWith(`${ROOT}dist/program/`)) return [file.replace(ROOT, '')];
  const named = readFileSync(file, 'utf8').matchAll(/^\/\/ ((?:src|node_modules)\/.+)$/gm);
  return [...named].map(([, name = '']) => name);
}

/** Files that Node loads for a command, with the few of libraries; each takes it half a millisecond. */
const FILES_MAX = { snap: 14, log: 16, status: 13, undo: 18 } as const;
/** Sources in them: small ones, which the bundler puts into few files. What grows is looked at, not split less. */
const SOURCES_MAX = {
  store: { snap: 219, log: 227, status: 220, undo: 227 },
  btrfs: { snap: 212, log: 220, status: 213, undo: 220 },
} as const;

/** What only some commands need: a snapshot must not pay for it. */
const NEVER_IN_A_SNAPSHOT = new RegExp(
  [
    ...['undo-call', 'blame', 'merge-lines', 'diff3?/', 'judge-call', 'core/policy', 'policy-'],
    ...['clack', 'zod', 'jsonc', 'modelcontextprotocol', 'src/api/'],
  ].join('|'),
);

describe.each(['store', 'btrfs'] as const)('on a %s workspace', (backend) => {
  it('a command loads few files, and few sources with them', async () => {
    await using project = await makeCliWorkspace(backend);
    await project.ok(['init', '--backend', backend]);
    const env = { GHOSTSNAP_HOME: join(project.base, 'home') };
    for (const verb of ['snap', 'log', 'status', 'undo'] as const) {
      writeFileSync(join(project.path, 'src', 'main.ts'), `before ${verb}\n`);
      const { files, sources } = loadedBy([verb], env, project.path);
      expect(sources).toContain(`src/cli/commands/${verb}.ts`);
      expect(files.length, `${verb}: ${files.join('\n')}`).toBeLessThanOrEqual(FILES_MAX[verb]);
      if (verb === 'snap') {
        expect(sources.filter((name) => NEVER_IN_A_SNAPSHOT.test(name))).toEqual([]);
      }
      const limit = SOURCES_MAX[backend][verb];
      expect(sources.length, `${verb}: ${sources.join('\n')}`).toBeLessThanOrEqual(limit);
    }
  });
});
