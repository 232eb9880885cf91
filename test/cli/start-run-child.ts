/** Runs the command in its arguments through `runChild` and ends with the status that it gave. */
import { runChild } from '../../src/cli/run-child.ts';

process.exit(await runChild({ command: process.argv.slice(2), env: process.env }));
