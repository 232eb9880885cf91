#!/usr/bin/env node
// Starts ghostsnap. This file is kept to syntax that Node has understood since version 10, so that
// an old one is told what to do instead of failing on a keyword; nothing newer is imported before
// the version is known.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  process.stderr.write(
    `ghostsnap: Node.js 24 or newer is needed, not ${process.version} at ${process.execPath}\n` +
      '  Install a current one (https://nodejs.org/en/download), or put it first in PATH.\n',
  );
  process.exit(69);
} else {
  import('node:module')
    .then((module) => {
      module.enableCompileCache();
      return import('../dist/program/main.js');
    })
    .then((cli) => cli.mainOfProcess())
    .then(
      (exitCode) => {
        // Everything is closed by now; what a library may have left open must not keep us here.
        process.exit(exitCode);
      },
      (error) => {
        const detail = error instanceof Error ? error.stack : error;
        process.stderr.write(`ghostsnap: ${detail}\n`);
        process.exit(70);
      },
    );
}
