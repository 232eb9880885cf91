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
import { build, type Plugin } from 'rolldown';

const ROOT = join(import.meta.dirname, '..');
const TARGET = join(ROOT, 'dist', 'program');

/** Libraries that every command loads. */
const BUNDLED = ['commander', 'picocolors'];

/** What every command loads, and what every command that opens a workspace loads, with what these import. */
const START = /\/src\/cli\/(?:main|cli-context|parse-count)\.ts$/;
const OPEN = /\/src\/(?:daemon\/(?:compose|open-workspace)|cli\/commands\/snap)\.ts$/;

/**
 * Never a worker: what it does when it is loaded would happen in every thread that loads the file, and each
 * would take the others' messages for its own.
 */
const TREES = /\/src\/backend\/(?!probe)(?![^/]*-worker)[^/]+\.ts$/;
const STORE = /\/src\/backend\/store\/(?![^/]*-worker)[^/]+\.ts$/;

/** Small parts that say what changed, for the commands that show it. */
const CHANGES =
  /\/src\/(?:cli\/(?:change-lines|change-json|count-changes)|core\/change-stats)\.ts$/;

/**
 * An import of a built-in module makes Node read every export of it, to make them bindings: on its way it
 * opens standard input and loads streams and web crypto, half of an empty Node's own start. So they
 * are asked for as objects, and the one library with native code is required.
 */
const plainBuiltins: Plugin = {
  name: 'plain-builtins',
  renderChunk(code) {
    const withBuiltins = code.replaceAll(
      /^import (?:\* as )?([^{};\n]+?)?(?:, )?(\{[^}]*\})? from "(node:[^"]+|koffi)";$/gm,
      (_line, whole: string | undefined, named: string | undefined, name: string) =>
        [whole, named?.replaceAll(' as ', ': ')]
          .filter((target) => target !== undefined)
          .map((target) => `const ${target} = ${loading(name)};`)
          .join('\n'),
    );
    return { code: withBuiltins };
  },
};

function loading(name: string): string {
  return name === 'koffi'
    ? 'process.getBuiltinModule("node:module").createRequire(import.meta.url)("koffi")'
    : `process.getBuiltinModule("${name}")`;
}

/** commander starts programs for subcommands that are files of their own. There are none. */
function isUnusedByCommander(id: string, importer: string | undefined): boolean {
  return id === 'node:child_process' && importer?.includes('/commander/') === true;
}

const noChildProcess: Plugin = {
  name: 'no-child-process',
  resolveId: (id, importer) => (isUnusedByCommander(id, importer) ? `\0${id}` : null),
  load: (id) => (id === '\0node:child_process' ? 'export default {};' : null),
};

const workers = globSync('src/**/*-worker.ts', { cwd: ROOT });

rmSync(TARGET, { recursive: true, force: true });
await build({
  cwd: ROOT,
  input: {
    main: 'src/cli/main.ts',
    ...Object.fromEntries(workers.map((file) => [basename(file, '.ts'), file])),
  },
  platform: 'node',
  plugins: [noChildProcess, plainBuiltins],
  external: (id, importer) =>
    importer !== undefined &&
    /^[^./]/.test(id) &&
    !BUNDLED.includes(id) &&
    !isUnusedByCommander(id, importer),
  output: {
    dir: TARGET,
    format: 'esm',
    chunkFileNames: '[name].js',
    codeSplitting: {
      groups: [
        { name: 'start', test: START, priority: 3 },
        { name: 'open', test: OPEN, priority: 2 },
        { name: 'changes', test: CHANGES, priority: 1 },
        { name: 'trees', test: TREES, priority: 1 },
        { name: 'store', test: STORE },
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
