/**
 * The service in a process of its own, for tests that kill it.
 *
 * Arguments: the directory with `home` in it, the configuration, and a step at which it kills itself ('':
 * none). Its log is on its standard output.
 */
import { serve } from '../../src/daemon/serve.ts';

const [base = '', configFile = '', killAt = ''] = process.argv.slice(2);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
const env = { ...process.env, GHOSTSNAP_HOME: `${base}/home` };
await serve({
  environment: { env, cwd: base, homeDir: base, uid: process.getuid?.() ?? 0 },
  ...{ configFile, version: '0.0.0-test', stop: stop.signal },
  onReload: (reload) => void process.on('SIGHUP', reload),
  write: (line) => void process.stdout.write(line),
  onStep: (step) => {
    if (step === killAt) process.kill(process.pid, 'SIGKILL');
  },
});
process.exit(0);
