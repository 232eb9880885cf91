/**
 * Where this program's own files are. `src/daemon`, `dist/daemon` and `dist/program`, which holds all
 * of the program in a few files, are equally deep.
 */
import { fileURLToPath } from 'node:url';

/** The package's folder, without a slash at its end. */
export const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The program's own entry. */
export const PROGRAM = `${PACKAGE_ROOT}/bin/ghostsnap.js`;
