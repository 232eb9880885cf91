/** Records snapshots in a catalog until it is refused; says with what, and how many it reads. */
import { GhostsnapError } from '../../src/core/errors.ts';
import { Journal, open } from './catalog-fixture.ts';

const ROUNDS_MAX = 5_000;

function main(file: string): { code: string | null; read: number } {
  let read = 0;
  try {
    using catalog = open(file);
    const journal = new Journal(catalog);
    read = catalog.listSnapshots(journal.workspace).length;
    const code = refusalOf(journal);
    // Also after a refusal, on the same connection.
    return { code, read: Math.min(read, catalog.listSnapshots(journal.workspace).length) };
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    return { code: error.code, read };
  }
}

function refusalOf(journal: Journal): string | null {
  try {
    for (let round = 0; round < ROUNDS_MAX; round += 1) journal.snapshot();
    return null;
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    return error.code;
  }
}

process.stdout.write(JSON.stringify(main(process.argv[2] ?? '')));
