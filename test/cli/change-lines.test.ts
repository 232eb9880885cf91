import picocolors from 'picocolors';
import { describe, expect, it } from 'vitest';
import { changeJson } from '../../src/cli/change-json.ts';
import { nameStatusLine, planLine, statLine, summaryLine } from '../../src/cli/change-lines.ts';
import { changeStats } from '../../src/core/change-stats.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { change, entry } from '../core/change-samples.ts';

const plain = picocolors.createColors(false);

describe('change lines', () => {
  it('name-status is a letter, a tab and the path, and both paths of a rename', () => {
    expect(nameStatusLine(change('added', 'a b'), plain)).toBe('A\ta b');
    const renamed = change('renamed', 'new', { oldPath: 'old' as RawPath });
    expect(nameStatusLine(renamed, plain)).toBe('R\told\tnew');
  });

  it('no file name reaches the terminal as a control sequence or breaks a line', () => {
    const hostile = change('deleted', 'a\n\u001b[2Jb', {});
    for (const line of [nameStatusLine, statLine, planLine]) {
      const text = line(hostile, plain);
      expect(text).toContain('a\\x0a\\x1b[2Jb');
      expect(text).not.toContain('\n');
      expect(text).not.toContain('\u001b');
    }
  });

  it('a stat line names the sizes before and after, and the mode', () => {
    const modified = change('modified', 'f', {
      from: entry({ sizeBytes: 1024, mode: 0o600 }),
      to: entry({ sizeBytes: 3, mode: 0o644 }),
      fields: ['mode', 'mtime'],
    });
    expect(statLine(modified, plain)).toBe('M f  1.0 KiB -> 3 B, mode 0600 -> 0644, mtime');
  });

  it('a plan line says what a rollback would do', () => {
    expect(planLine(change('added', 'x'), plain)).toBe('create    x');
    expect(planLine(change('deleted', 'x'), plain)).toBe('remove    x');
    expect(planLine(change('metadata', 'x', { fields: ['owner'] }), plain)).toBe(
      'set       x  owner',
    );
    expect(planLine(change('uncovered', 'x', { reason: 'a mount' }), plain)).toBe(
      'leave     x  a mount',
    );
  });

  it("the workspace's own directory is a dot", () => {
    expect(planLine(change('metadata', '', { fields: ['mtime'] }), plain)).toBe(
      'set       .  mtime',
    );
    expect(changeJson(change('metadata', '')).path).toBe('.');
  });

  it('a summary counts what differs and names what is not covered apart', () => {
    const stats = changeStats([change('added', 'a'), change('uncovered', 'b')]);
    expect(summaryLine(stats)).toBe('1 path: 1 added, 1 not covered');
    expect(summaryLine(changeStats([]))).toBe('Nothing differs.');
  });

  it('JSON carries times as text, because a number cannot hold nanoseconds', () => {
    const of = entry({ mtimeNs: 1_700_000_000_123_456_789n, mode: 0o4755, sizeBytes: 5 });
    expect(changeJson(change('added', 'ü', { of }))).toEqual({
      path: 'ü',
      kind: 'added',
      fields: [],
      from: null,
      to: {
        type: 'file',
        mode: '4755',
        uid: 0,
        gid: 0,
        sizeBytes: 5,
        mtimeNs: '1700000000123456789',
      },
    });
  });
});
