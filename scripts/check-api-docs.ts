/**
 * Checks that API documents can be made and hold what is exported.
 *
 * typedoc sees nothing under a compiler it does not know and still reports success: what it found is
 * counted here, and the first thing a user looks for must be among it.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Far below what there is, far above what a blind run finds. */
const EXPORTS_MIN = 20;
const FIRST_LOOKED_FOR = 'SnapshotManager';

const folder = mkdtempSync(join(tmpdir(), 'ghostsnap-api-docs-'));
try {
  const file = join(folder, 'api.json');
  const options = ['src/index.ts', '--tsconfig', 'src/tsconfig.json', '--logLevel', 'Error'];
  execFileSync('typedoc', [...options, '--json', file], { stdio: 'inherit' });
  const names = exportedNames(JSON.parse(readFileSync(file, 'utf8')));
  if (names.length < EXPORTS_MIN || !names.includes(FIRST_LOOKED_FOR)) {
    throw new Error(
      `typedoc sees ${names.length} exports; ${FIRST_LOOKED_FOR} must be among them.`,
    );
  }
  console.log(`${names.length} exports documented.`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function exportedNames(project: unknown): readonly string[] {
  if (typeof project !== 'object' || project === null || !('children' in project)) return [];
  const { children } = project;
  if (!Array.isArray(children)) return [];
  return children.map((child: { readonly name?: unknown }) => String(child.name));
}
