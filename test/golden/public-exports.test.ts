/** What the package gives to its users, by entry: names are added, never taken away. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');

it('every entry keeps its exports', async () => {
  const text = readFileSync(join(ROOT, 'package.json'), 'utf8');
  const { exports } = JSON.parse(text) as {
    readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  };
  const pages: string[] = [];
  for (const [entry, target] of Object.entries(exports)) {
    if (typeof target === 'string') continue;
    const source = target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts');
    const module: unknown = await import(join(ROOT, source));
    const values = Object.entries(module as object).map(
      ([name, value]) => `${typeof value} ${name}`,
    );
    const types = typesIn(readFileSync(join(ROOT, source), 'utf8'));
    pages.push(
      `${entry}\n${[...values, ...types]
        .sort()
        .map((line) => `  ${line}\n`)
        .join('')}`,
    );
  }
  await expect(pages.join('\n')).toMatchFileSnapshot('public-exports.txt');
});

/** Types leave no value: they are read from the entry's own text. */
function typesIn(text: string): readonly string[] {
  const own = [...text.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, name]) => name);
  const listed = [...text.matchAll(/^export (type )?\{([^}]*)\}/gm)].flatMap(
    ([, all, names = '']) => {
      const items = names.split(',').map((name) => name.trim());
      return all === undefined
        ? items.flatMap((item) => (item.startsWith('type ') ? [item.slice(5)] : []))
        : items.filter((item) => item !== '');
    },
  );
  const whole = [...text.matchAll(/^export type \* from '(.*)'/gm)].map(
    ([, file]) => `* of ${file}`,
  );
  return [...own, ...listed, ...whole].map((name) => `type ${name}`);
}
