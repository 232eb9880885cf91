/**
 * A process that commits to a catalog and tells its parent the state it reached, for the tests beside it.
 *
 * durable FILE: snapshots, the last of them to survive a power loss; prints the sequence; waits to be killed.
 * endless FILE: snapshots until it is killed, printing each sequence after its commit.
 * grouped FILE: the same on a grouped catalog, several workspaces at once, printing each once it has landed;
 *   after GROUPED_MAX of them it kills itself, before anything else can land.
 * make FILE: opens the catalog, making it if it must; prints "made".
 */
import { writeSync } from 'node:fs';
import { openGroupedCatalog } from '../../src/catalog/grouped-catalog.ts';
import { Journal, open } from './catalog-fixture.ts';

const [command = '', file = ''] = process.argv.slice(2);
const catalog = command === 'grouped' ? openGroupedCatalog({ file }) : open(file);
const WORKSPACES = 8;
const GROUPED_MAX = 400;
let told = 0;

/** Not console.log: a kill right after the commit must not find the line still buffered. */
function tell(text: string): void {
  writeSync(1, `${text}\n`);
}

if (command === 'make') {
  tell('made');
  catalog[Symbol.dispose]();
} else if (command === 'grouped') {
  await Promise.all(Array.from({ length: WORKSPACES }, (_, index) => commitOn(index + 1)));
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

async function commitOn(index: number): Promise<void> {
  const journal = new Journal(catalog, index);
  if (journal.state.sequence === 0) journal.init();
  for (;;) {
    journal.snapshot();
    await catalog.settle(journal.workspace);
    tell(`${index} ${journal.state.sequence}`);
    told += 1;
    if (told === GROUPED_MAX) process.kill(process.pid, 'SIGKILL');
  }
}
