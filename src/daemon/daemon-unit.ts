/** The systemd user unit of the daemon: written on request, started by the person. */
import fs from 'node:fs';
import path from 'node:path';
import { type Environment, requireHomeDirectory } from './home.ts';
import { PROGRAM } from './own-files.ts';

/** Writing it again replaces it. @returns its path */
export function writeDaemonUnit(environment: Environment): string {
  const { env } = environment;
  const config = env.XDG_CONFIG_HOME;
  const isSet = config !== undefined && path.isAbsolute(config);
  const base = isSet ? config : `${requireHomeDirectory(environment)}/.config`;
  const file = path.join(base, 'systemd', 'user', 'ghostsnap.service');
  const home = env.GHOSTSNAP_HOME;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, unitText(home === undefined ? null : home));
  return file;
}

function unitText(home: string | null): string {
  const lines = [
    '[Unit]',
    'Description=ghostsnap: snapshots before the tool calls of agents',
    '',
    '[Service]',
    `ExecStart=${quoted(process.execPath)} ${quoted(PROGRAM)} daemon run`,
    'Environment=UV_THREADPOOL_SIZE=32 GHOSTSNAP_DAEMON_IDLE_MS=2147483647',
    ...(home === null ? [] : [`Environment=${quoted(`GHOSTSNAP_HOME=${home}`)}`]),
    'Restart=always',
    'RestartSec=1',
    '',
    '[Install]',
    'WantedBy=default.target',
  ];
  return `${lines.join('\n')}\n`;
}

/** systemd.syntax(7): quotes keep spaces, a percent sign is a specifier, a dollar sign a variable. */
function quoted(text: string): string {
  const escaped = text.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return `"${escaped}"`;
}
