/** Loaded before the program (`--import`): appends the URL of every module that Node loads to a file. */
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

const { LOADED_FILE = '' } = process.env;

registerHooks({
  load(url, context, nextLoad) {
    appendFileSync(LOADED_FILE, `${url}\n`);
    return nextLoad(url, context);
  },
});
