/** Prints who holds a tree, as JSON: `node holders-child.ts PATH DEV`. */
import { findHolders } from '../../src/backend/btrfs/holders.ts';

const [path = '', dev = ''] = process.argv.slice(2);
process.stdout.write(JSON.stringify(findHolders({ path, dev: Number(dev) })));
