/** Issues `<prefix>-0`, `<prefix>-1`, ... in a process of its own: arguments are folder, prefix and count. */
import { runMain } from './run-cli.ts';

const [cwd = '', prefix = '', count = ''] = process.argv.slice(2);
for (let n = 0; n < Number(count); n += 1) {
  const name = `${prefix}-${n}`;
  const client = ['--client', `spiffe://a.example/${name}`];
  const { status, stderr } = await runMain(['cert', 'issue', name, '--ca', 'ca', ...client], {
    cwd,
  });
  if (status !== 0) throw new Error(stderr);
}
