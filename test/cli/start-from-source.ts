/** Starts the command line from its sources, for tests that run it as a process of its own. */
import { mainOfProcess } from '../../src/cli/main.ts';

process.exit(await mainOfProcess());
