import { describe, expect, it } from 'vitest';
import type { TreeReader } from '../../src/backend/backend.ts';
import { printLineDiff } from '../../src/cli/line-diff.ts';
import { createOutput } from '../../src/cli/output.ts';
import { LINE_DIFF_BYTES_MAX } from '../../src/core/limits.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';
import { change, entry } from '../core/change-samples.ts';

/** The part of a reader that line diffs use, over one file's bytes. */
function readerOf(content: string | Uint8Array): TreeReader {
  const bytes = Buffer.from(content);
  const reader: Pick<TreeReader, 'readFile' | 'readLink'> = {
    // At most 7 bytes at a time: a reader may give less than was asked for.
    readFile: (_, offset, length) => bytes.subarray(offset, offset + Math.min(7, length)),
    readLink: () => bytes.toString('latin1'),
  };
  return reader as TreeReader;
}

async function shown(
  one: TreeChange,
  from: string | Uint8Array,
  to: string | Uint8Array,
  isTTY = false,
): Promise<string> {
  let text = '';
  const stdout = {
    isTTY,
    write: (part: string) => {
      text += part;
    },
  };
  const output = createOutput({ stdout, stderr: stdout, env: isTTY ? { NO_COLOR: '1' } : {} });
  await printLineDiff(output, one, { from: readerOf(from), to: readerOf(to) });
  return text;
}

function modified(from: string | Uint8Array, to: string | Uint8Array): TreeChange {
  return change('modified', 'f', {
    from: entry({ sizeBytes: Buffer.byteLength(from) }),
    to: entry({ sizeBytes: Buffer.byteLength(to) }),
  });
}

describe('printLineDiff()', () => {
  it('shows a unified diff of a modified file', async () => {
    const [from, to] = ['a\n-- b\nc\n', 'a\nB\nc\n'];
    expect(await shown(modified(from, to), from, to)).toBe(
      'diff f f\n--- f\n+++ f\n@@ -1,3 +1,3 @@\n a\n--- b\n+B\n c\n',
    );
  });

  it('shows an added file against nothing, and a missing newline at the end', async () => {
    const to = 'one';
    const added = change('added', 'f', { of: entry({ sizeBytes: 3 }) });
    expect(await shown(added, '', to)).toBe(
      'diff f f\nnew file mode 0644\n--- /dev/null\n+++ f\n@@ -0,0 +1,1 @@\n+one\n\\ No newline at end of file\n',
    );
  });

  it('names a binary file and does not print it', async () => {
    const to = Uint8Array.of(1, 0, 2);
    expect(await shown(modified('text', to), 'text', to)).toBe('diff f f\nBinary files differ.\n');
  });

  it('names a file over the limit and does not read it', async () => {
    const large = change('modified', 'f', {
      from: entry({ sizeBytes: LINE_DIFF_BYTES_MAX + 1 }),
      to: entry({ sizeBytes: 1 }),
    });
    expect(await shown(large, '', 'x')).toBe(
      'diff f f\nToo large to compare line by line (1.0 MiB).\n',
    );
  });

  it('shows both targets of a symlink', async () => {
    const link = entry({ type: 'symlink', sizeBytes: 0 });
    const one = change('modified', 'f', { from: link, to: link });
    expect(await shown(one, 'old', 'new')).toContain('-old\n');
  });

  it('shows properties without reading contents', async () => {
    const one = change('metadata', 'f', {
      from: entry({ mode: 0o600, uid: 1 }),
      to: entry({ mode: 0o644, uid: 2 }),
      fields: ['mode', 'owner', 'xattrs'],
    });
    expect(await shown(one, 'x', 'y')).toBe(
      'diff f f\nold mode 0600\nnew mode 0644\nold owner 1:0\nnew owner 2:0\ndiffers in xattrs\n',
    );
  });

  it('shows control characters in contents on a terminal, and passes them on into a pipe', async () => {
    const to = 'a\u001b[2Jb\tc\n';
    const one = modified('', to);
    expect(await shown(one, '', to, true)).toContain('+a\\x1b[2Jb\tc\n');
    expect(await shown(one, '', to)).toContain('+a\u001b[2Jb\tc\n');
  });
});
