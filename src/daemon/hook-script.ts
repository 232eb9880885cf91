/**
 * The command that harnesses run: a shell script that needs no Node while the daemon answers.
 *
 * curl brings the payload to the daemon's socket. Where there is no curl, or nobody answers, the program
 * itself does the work and starts the daemon for the next call. When the program is gone as well, a tool
 * is not let through in silence: the status blocks it, and says what to do.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { HarnessName } from '../agent/harness/harness.ts';
import type { HookConnection, InstallScope } from '../agent/install/installer.ts';
import { ensureHttpAccess } from './daemon-http.ts';
import { daemonPlace } from './daemon-place.ts';
import { type Environment, resolveHome } from './home.ts';
import { PROGRAM } from './own-files.ts';
import { SKIP_REPORTED_TWICE } from './reported-twice.ts';

export interface ConnectionOptions {
  readonly environment: Environment;
  readonly scope: InstallScope;
  readonly way: 'command' | 'http';
}

/** Writes the script and, for HTTP, makes port and token; both the same every time. */
export async function prepareConnection(options: ConnectionOptions): Promise<HookConnection> {
  const { environment, scope, way } = options;
  const home = resolveHome(environment);
  const place = daemonPlace(home, environment);
  const script = path.join(home.data, 'hooks', 'ghostsnap-hook.sh');
  writeScript(
    script,
    scriptText({ socket: place.socket, ghostsnapHome: environment.env.GHOSTSNAP_HOME }),
  );
  // A project's file is other people's as well: their ghostsnap is wherever their PATH has it.
  const command = (harness: HarnessName, event: string): string =>
    scope === 'project'
      ? `ghostsnap hook run ${harness} ${event}`
      : `/bin/sh ${shellQuoted(script)} ${harness} ${event}`;
  const http = way === 'http' ? await ensureHttpAccess(place) : null;
  return { command, http, socket: place.socket, node: process.execPath, program: PROGRAM };
}

function writeScript(file: string, text: string): void {
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === text) return;
  const temporary = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(temporary, text, { mode: 0o700 });
  fs.renameSync(temporary, file);
}

function scriptText(options: {
  readonly socket: string;
  readonly ghostsnapHome: string | undefined;
}): string {
  const { socket, ghostsnapHome } = options;
  const program = shellQuoted(PROGRAM);
  const home =
    ghostsnapHome === undefined ? '' : `export GHOSTSNAP_HOME=${shellQuoted(ghostsnapHome)}\n`;
  return `#!/bin/sh
# ghostsnap-hook.sh HARNESS EVENT, the payload on standard input. Written by "ghostsnap hook install".
${home}payload=$(cat)
${SKIP_REPORTED_TWICE}
if reply=$(printf '%s' "$payload" | curl -sf --max-time 120 --noproxy '*' -H Expect: \\
  -H 'Content-Type: application/json' \\
  \${TRACEPARENT:+-H "traceparent: $TRACEPARENT"} \${TRACESTATE:+-H "tracestate: $TRACESTATE"} \\
  \${BAGGAGE:+-H "baggage: $BAGGAGE"} --unix-socket ${shellQuoted(socket)} --data-binary @- \\
  "http://ghostsnap/hook/$1/$2" 2>/dev/null); then
  printf '%s' "$reply"
  exit 0
fi
if [ ! -e ${program} ]; then
  echo 'ghostsnap is gone, so no snapshot was taken. Install it again, or remove its hooks.' >&2
  exit 2
fi
printf '%s' "$payload" | ${shellQuoted(process.execPath)} ${program} hook run "$1" "$2"
`;
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
