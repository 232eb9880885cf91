/**
 * The command that harnesses run: a shell script that needs no Node while the daemon answers.
 *
 * curl brings the payload to the daemon's socket. Where there is no curl, or nobody answers, the program
 * itself does the work and starts the daemon for the next call. When the program is gone as well, or the
 * daemon hangs, a tool is not let through in silence: the status blocks it, and says what to do.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { HarnessName } from '../agent/harness/harness.ts';
import { BEFORE_TOOL_EVENTS, isBeforeTool } from '../agent/harness-table.ts';
import type { HookConnection, InstallScope } from '../agent/install/installer.ts';
import { HOOK_REPLY_MS } from '../core/limits.ts';
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
  const ghostsnapHome = environment.env.GHOSTSNAP_HOME ?? null;
  writeScript(script, scriptText({ socket: place.socket, ghostsnapHome }));
  // A project's file is other people's as well: their ghostsnap is wherever their PATH has it.
  const command = (harness: HarnessName, event: string): string =>
    scope === 'project'
      ? `ghostsnap hook run ${harness} ${event}`
      : `/bin/sh ${shellQuoted(script)} ${harness} ${event}${orStop(event)}`;
  const http = way === 'http' ? await ensureHttpAccess(place) : null;
  const onFailure = scope === 'project' ? 'pass' : 'block';
  return {
    command,
    onFailure,
    http,
    socket: place.socket,
    node: process.execPath,
    program: PROGRAM,
    script,
    ghostsnapHome,
  };
}

/**
 * Most harnesses take every status but 2 for a hook that failed, and run the tool: also that of a shell whose script
 * was deleted, or that was killed.
 */
function orStop(event: string): string {
  return isBeforeTool(event) ? ' || exit 2' : '';
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
  readonly ghostsnapHome: string | null;
}): string {
  const { socket, ghostsnapHome } = options;
  const program = shellQuoted(PROGRAM);
  const home =
    ghostsnapHome === null ? '' : `export GHOSTSNAP_HOME=${shellQuoted(ghostsnapHome)}\n`;
  return `#!/bin/sh
# ghostsnap-hook.sh HARNESS EVENT, the payload on standard input. Written by "ghostsnap hook install".
# stop REASON: a tool must not run unprotected; any other event stops nothing.
stop() {
  case "$2" in
    ${BEFORE_TOOL_EVENTS.join(' | ')})
      echo "ghostsnap: $1" >&2
      exit 2
      ;;
  esac
  exit 0
}
${home}payload=$(cat)
${SKIP_REPORTED_TWICE}
if reply=$(printf '%s' "$payload" | curl -sf --max-time ${HOOK_REPLY_MS / 1000} --noproxy '*' -H Expect: \\
  -H 'Content-Type: application/json' \\
  \${TRACEPARENT:+-H "traceparent: $TRACEPARENT"} \${TRACESTATE:+-H "tracestate: $TRACESTATE"} \\
  \${BAGGAGE:+-H "baggage: $BAGGAGE"} --unix-socket ${shellQuoted(socket)} --data-binary @- \\
  "http://ghostsnap/hook/$1/$2" 2>/dev/null); then
  printf '%s' "$reply"
  exit 0
elif [ $? -eq 28 ]; then
  # curl waited in vain. Nobody else would fare better, and the harness would soon run the tool.
  stop 'The daemon gives no answer, so no snapshot was taken. It hangs: end it.' "$2"
fi
if [ ! -e ${program} ]; then
  stop 'The program is gone, so no snapshot was taken. Install it again, or remove its hooks.' "$2"
fi
printf '%s' "$payload" | ${shellQuoted(process.execPath)} ${program} hook run "$1" "$2"
`;
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
