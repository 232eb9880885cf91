/**
 * A process that commits to a catalog and tells its parent the state it reached, for the tests beside it.
 *
 * durable FILE: snapshots, the last of them to survive a power loss; prints the sequence; waits to be killed.
 * endless FILE: snapshots until it is killed, printing each sequence after its commit.
 * make FILE: opens the catalog, making it if it must; prints "made".
 */
import { writeSync } from 'node:fs';
import { Journal, open } from './catalog-fixture.ts';

const [command = '', file = ''] = process.argv.slice(2);
const catalog = open(file);

/** Not console.log: a kill right after the commit must not find the line still buffered. */
function tell(text: string): void {
  writeSync(1, `${text}\n`);
}

if (command === 'make') {
  tell('made');
  catalog[Symbol.dispose]();
} else {
  const journal = new Journal(catalog);
  if (journal.state.sequence === 0) journal.init();
  if (command === 'durable') {
    for (let i = 0; i < 5; i += 1) journal.snapshot();
    journal.decide({ type: 'rebind-workspace', path: '/durable' }, 'power-loss');
    tell(String(journal.state.sequence));
    process.stdin.resume();
  } else {
    for (;;) {
      journal.snapshot();
      tell(String(journal.state.sequence));
    }
  }
}
