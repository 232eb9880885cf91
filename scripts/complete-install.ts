/**
 * Fetches what npm has left out of our tools: native parts mostly.
 *
 * npm leaves out an optional package whose "engines" the system's own Node does not meet, without a word;
 * the tools run on the node@24 of devDependencies, of which it does not know. What package-lock.json has
 * for this machine and node_modules has not is fetched by npm, held against the lock's integrity, and
 * unpacked where it belongs.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const ROOT = join(import.meta.dirname, '..');

function isForHere({ os, cpu, libc }: Locked): boolean {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const ownLibc = header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
  return (
    (os === undefined || os.includes(process.platform)) &&
    (cpu === undefined || cpu.includes(process.arch)) &&
    (libc === undefined || libc.includes(ownLibc))
  );
}

/** By something that is installed: what only parts for other machines need is not for here either. */
function isAskedFor(name: string): boolean {
  return Object.entries(lock.packages).some(
    ([path, { dependencies, optionalDependencies }]) =>
      (dependencies?.[name] ?? optionalDependencies?.[name]) !== undefined &&
      existsSync(join(ROOT, path)),
  );
}

function fetchInto(folder: string, name: string, { version, integrity = '' }: Locked): void {
  const scratch = mkdtempSync(join(tmpdir(), 'ghostsnap-install-'));
  try {
    const args = ['pack', `${name}@${version}`, '--pack-destination', scratch, '--silent'];
    const file = execFileSync('npm', args, { cwd: scratch, encoding: 'utf8' }).trim();
    const archive = join(scratch, basename(file));
    const [algorithm = '', wanted] = integrity.split('-', 2);
    const found = createHash(algorithm).update(readFileSync(archive)).digest('base64');
    if (found !== wanted) throw new Error(`${name}@${version} is not what package-lock.json says.`);
    // Beside its place and then renamed: one that was cut off is fetched again, not taken for whole.
    const part = `${folder}.part`;
    rmSync(part, { recursive: true, force: true });
    mkdirSync(part, { recursive: true });
    execFileSync('tar', ['-xzf', archive, '-C', part, '--strip-components=1']);
    renameSync(part, folder);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, Locked>>;
};
let before: number;
let fetched = 0;
do {
  // What was fetched may need more that was left out.
  before = fetched;
  for (const [path, locked] of Object.entries(lock.packages)) {
    const folder = join(ROOT, path);
    if (locked.optional !== true || existsSync(folder) || !isForHere(locked)) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (!isAskedFor(name)) continue;
    console.error(`Fetching ${name}@${locked.version}, which npm left out.`);
    fetchInto(folder, name, locked);
    fetched += 1;
  }
} while (fetched > before);
