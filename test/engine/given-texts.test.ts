import { describe, expect, it } from 'vitest';
import { parseLabel } from '../../src/engine/labels.ts';
import { parseWorkspacePaths } from '../../src/engine/workspace-paths.ts';

describe('parseWorkspacePaths()', () => {
  it('refuses an empty path, which a variable that is not set gives: it is not the workspace', () => {
    for (const paths of [[''], ['src', '']]) {
      expect(() => parseWorkspacePaths('/w', paths)).toThrowError('A path is empty.');
    }
    expect(parseWorkspacePaths('/w', ['.', '/w', 'src/'])).toEqual(['', '', 'src']);
  });
});

describe('parseLabel()', () => {
  it('refuses what names something else wherever a snapshot is named', () => {
    for (const label of ['@', '@~1', 'live', `ghost_${'0'.repeat(26)}`]) {
      expect(() => parseLabel(label)).toThrowError('cannot be a label');
    }
    for (const label of ['@home', 'alive', 'ghost_', '@~']) expect(parseLabel(label)).toBe(label);
    expect(parseLabel('')).toBeNull();
  });
});
