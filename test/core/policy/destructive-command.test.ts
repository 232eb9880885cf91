import { describe, expect, it } from 'vitest';
import { adviseOn } from '../../../src/core/policy/destructive-command.ts';

describe('adviseOn()', () => {
  it.each([
    ['rm -rf build', ['rm -r']],
    ['cd x && sudo rm -fr -- "a b"', ['rm -r']],
    ['rm *.o', ['rm']],
    ['find . -name "*.log" -delete', ['find -delete']],
    ['find . -type f -exec rm {} +', ['find -delete']],
    ['find . -print0 | xargs -0 rm -r', ['rm -r']],
    ['git reset --hard HEAD~1', ['git reset --hard']],
    ['git -C sub clean -fdx', ['git clean -f']],
    ['git checkout -- .', ['git checkout --']],
    ['git restore src', ['git restore']],
    ['git stash drop', ['git stash drop']],
    ['dd if=/dev/zero of=disk.img bs=1M', ['dd of=']],
    ['/sbin/mkfs.ext4 /dev/sdb1', ['mkfs']],
    ['truncate -s 0 db.sqlite', ['truncate']],
    ['shred -u key.pem', ['shred']],
    ['rsync -a --delete a/ b/', ['rsync --delete']],
    ['chmod -R 777 .', ['chmod -R']],
    ['echo hi > notes.txt', ['>']],
    ['echo hi 2>&1 >| notes.txt', ['>']],
    [`bash -c 'rm -rf "$TMP/x" && git clean -f'`, ['rm -r', 'git clean -f']],
    ['if true; then rm -rf a; fi; $(rm -r b)', ['rm -r']],
    ['A=1 B=2 rm -r x', ['rm -r']],
  ])('recognises %s', (line, commands) => {
    expect(adviseOn(line).map(({ command }) => command)).toEqual(commands);
  });

  it.each([
    'rm file.txt',
    'echo "rm -rf /"',
    "grep -r 'git reset --hard' docs",
    'ls >> list.txt 2> /dev/null',
    'make 2>&1 | tee /dev/null',
    'git clean -nfd',
    'git reset --soft HEAD~1',
    'git restore --staged a',
    'git checkout -b topic',
    '# rm -rf x',
    'cat < input',
    '',
  ])('has nothing against %s', (line) => {
    expect(adviseOn(line)).toEqual([]);
  });
});
