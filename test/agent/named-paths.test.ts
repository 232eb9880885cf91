/** What a tool's input names: nothing that a harness or a shell writes as a path may be passed over. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { namedPaths } from '../../src/agent/named-paths.ts';

const from = { directory: '/w/a', homeDir: '/home/me' };
const named = (input: unknown): readonly string[] => namedPaths(input, from);

it.each([
  ['cd ../b && rm -rf src', '/w/b'],
  ['cd .. ; rm -rf b', '/w'],
  ["rm -rf '/w/b/with blanks'", '/w/b/with blanks'],
  ['rm -rf /w/with\\ blanks/x', '/w/with blanks/x'],
  ['bash -c "cd /w/b && make clean"', '/w/b'],
  ['echo x >>/w/b/log', '/w/b/log'],
  ['make -C /w/b DESTDIR=/w/c', '/w/c'],
  ['git --git-dir=/w/b/.git gc', '/w/b/.git'],
  ['rm -rf ~/b/* "$HOME/c"', '/home/me/b/*'],
  ['rm -rf ~/b/* "$HOME/c"', '/home/me/c'],
  ['(cd "\u0024{HOME}"/b; ls)', '/home/me/b'],
  ['*** Begin Patch\n*** Update File: ../b/x.ts\n@@\n-a\n+b\n', '/w/b/x.ts'],
])('of the command %s it names %s', (command, path) => {
  expect(named({ command })).toContain(path);
  expect(named({ cmd: ['bash', '-lc', command] })).toContain(path);
  expect(named(command)).toContain(path);
});

it('a value that is a path is one, however deep it lies', () => {
  expect(named({ file_path: '/w/b/x' })).toEqual(['/w/b/x']);
  expect(named({ edits: [{ filePath: '/w/b/x y' }, { uri: 'file:///w/c/z' }] })).toEqual([
    ...['/w/b/x y', '/w/c/z'],
  ]);
});

it('what a file is to hold names nothing', () => {
  expect(named({ file_path: 'x', content: 'see /w/b/x\nand ../c\n' })).toEqual([]);
});

it('is bounded, and gives absolute paths of anything', () => {
  const many = Array.from({ length: 100_000 }, (_, index) => `/w/${index}`);
  expect(named({ files: many, command: many.join(' ') }).length).toBe(32);
  let deep: unknown = '/w/b';
  for (let level = 0; level < 60; level += 1) deep = [deep];
  expect(named(deep)).toEqual([]);
  fc.assert(
    fc.property(fc.jsonValue(), fc.string(), (value, command) => {
      for (const path of [...named(value), ...named({ command })]) {
        expect(path).toMatch(/^\//);
        expect(path).not.toContain('\0');
      }
    }),
  );
});
