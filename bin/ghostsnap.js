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
  if (isService(process.argv.slice(2))) {
    widenThreadPool();
    collectEarly();
  }
  keepCompiled();
  import('../dist/program/main.js')
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

// The first word that is no option, and no value of one.
function isService(argv) {
  for (let at = 0; at < argv.length; at += 1) {
    if (argv[at] === '-w' || argv[at] === '--workspace') at += 1;
    else if (!argv[at].startsWith('-')) return argv[at] === 'serve';
  }
  return false;
}

// Snapshots share a commit of the file system when many threads are inside the system call at once. How
// many there are is settled when the first of them is needed, which loading a module may already be.
// As wide as the lane of tool calls is by default; whoever has said how many gets that many.
function widenThreadPool() {
  if (!process.env.UV_THREADPOOL_SIZE) process.env.UV_THREADPOOL_SIZE = '64';
}

// V8 lets a heap grow to several times what is alive before it looks at all of it, as far as the machine's
// memory goes: a service of 45 MB kept 90 to 120. Half as much again is room enough, as requests leave little
// behind; it costs a collection of some tens of milliseconds, most of them beside the program, now and then.
// No bound: a host of many workspaces takes what they need. NODE_OPTIONS does not know this one, and V8 reads it
// at each collection: of those that may not be set after its start it is none.
function collectEarly() {
  process.getBuiltinModule('node:v8').setFlagsFromString('--heap-growing-percent=50');
}

// What Node has compiled is kept for the next start. Such a file is code that runs, so it lies in a folder
// that this user alone may write: into the one that Node takes for all programs anybody may have put
// something before, where several share /tmp. A folder that is not ours is left alone; we start slower.
function keepCompiled() {
  const { enableCompileCache } = process.getBuiltinModule('node:module');
  if (process.env.NODE_COMPILE_CACHE) {
    enableCompileCache();
    return;
  }
  const fs = process.getBuiltinModule('node:fs');
  const uid = process.getuid();
  const folder = `${process.getBuiltinModule('node:os').tmpdir()}/ghostsnap-compiled-${uid}`;
  try {
    if (!fs.existsSync(folder)) fs.mkdirSync(folder, { mode: 0o700 });
    const found = fs.lstatSync(folder);
    const isOurs = found.isDirectory() && found.uid === uid && (found.mode & 0o022) === 0;
    if (isOurs) enableCompileCache(folder);
  } catch (error) {
    // No folder, no cache: a full or read-only disk must not keep the program from starting.
    if (error.code === undefined) throw error;
  }
}
