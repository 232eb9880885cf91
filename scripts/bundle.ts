/**
 * Bundles the command line into `dist/program/`; a part of `npm run build`.
 *
 * A command runs before every tool call of an agent, and Node resolves, reads and links each module for
 * about half a millisecond: `snap` would load two hundred. So what every command needs is one file, each
 * backend another, and what a verb alone needs lies in files of its own that only this verb loads.
 * Nothing is minified: a stack names the functions, and a comment before each part its source.
 *
 * Libraries stay where npm put them, at the versions it chose, but for two small ones that every command
 * loads; their licences are copied beside the files that hold them. All files lie in one folder, which is as deep as
 * `src/daemon/`: what finds others by `import.meta.url` finds them from here as well.
 */
import { cpSync, globSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'rolldown';

const ROOT = join(import.meta.dirname, '..');
const TARGET = join(ROOT, 'dist', 'program');

/** Libraries that every command loads. */
const BUNDLED = ['commander', 'picocolors'];

/** What every command loads: the program, the library's composition root, and what these import. */
const START =
  /\/src\/(?:cli\/(?:main|cli-context|commands\/snap)|daemon\/(?:compose|open-workspace))\.ts$/;

const workers = globSync('src/**/*-worker.ts', { cwd: ROOT });

rmSync(TARGET, { recursive: true, force: true });
await build({
  cwd: ROOT,
  input: {
    main: 'src/cli/main.ts',
    ...Object.fromEntries(workers.map((file) => [basename(file, '.ts'), file])),
  },
  platform: 'node',
  external: (id, importer) => importer !== undefined && /^[^./]/.test(id) && !BUNDLED.includes(id),
  output: {
    dir: TARGET,
    format: 'esm',
    chunkFileNames: '[name].js',
    codeSplitting: {
      groups: [
        { name: 'start', test: START, priority: 2 },
        { name: 'trees', test: /\/src\/backend\/[^/]+\.ts$/, priority: 1 },
        { name: 'store', test: /\/src\/backend\/store\/[^/]+\.ts$/ },
      ],
    },
  },
  // What lies in the file that is loaded first may be imported dynamically all the same.
  checks: { ineffectiveDynamicImport: false },
  logLevel: 'warn',
});
for (const name of BUNDLED) {
  cpSync(join(ROOT, 'node_modules', name, 'LICENSE'), join(TARGET, `LICENSE-${name}`));
}
