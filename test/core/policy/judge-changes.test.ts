import { describe, expect, it } from 'vitest';
import { combineRules, NO_USER_POLICY } from '../../../src/core/policy/combine-rules.ts';
import { judgeChanges } from '../../../src/core/policy/judge-changes.ts';
import {
  type PolicyRule,
  type SourcedRule,
  severityOf,
  type Verdict,
} from '../../../src/core/policy/policy-rule.ts';
import { verdictForAgent } from '../../../src/core/policy/verdict-text.ts';
import type { TreeChange } from '../../../src/core/tree-change.ts';
import { change, entry } from '../change-samples.ts';

function judge(rules: readonly PolicyRule[], changes: readonly TreeChange[], files = 1e6): Verdict {
  const sourced: SourcedRule[] = rules.map((rule) => ({ rule, source: 'user' }));
  const judging = judgeChanges(sourced);
  for (const one of changes) judging.see(one);
  return judging.verdict(Math.min(files, Math.max(judging.filesToCount(), 1e9)));
}

/** Files that differ in time, as files of a tree do. */
function deleted(count: number, prefix = 'f'): TreeChange[] {
  return Array.from({ length: count }, (_, i) =>
    change('deleted', `${prefix}/${i}`, { of: entry({ mtimeNs: BigInt(i), sizeBytes: 10 }) }),
  );
}

const off = { except: [], action: 'ask' } as const;

describe('deleted-files', () => {
  const rule: PolicyRule = { rule: 'deleted-files', max: 3, ...off };

  it('objects to one file more than is allowed, and names some', () => {
    expect(judge([rule], deleted(3)).action).toBe('none');
    const verdict = judge([rule], deleted(4));
    expect(verdict).toMatchObject({ action: 'ask', findings: [{ rule: 'deleted-files' }] });
    expect(verdict.findings[0]?.message).toBe('It deleted 4 files, more than the 3 allowed.');
    expect(verdict.findings[0]?.paths).toEqual(['f/0', 'f/1', 'f/2', 'f/3']);
  });

  it('counts no directories, no moved files, nothing that is excepted', () => {
    const moves = deleted(9).flatMap((one) => [
      one,
      change('added', `to/${one.path}`, { of: one.from ?? entry() }),
    ]);
    expect(judge([rule], moves).action).toBe('none');
    expect(judge([rule], moves.toReversed()).action).toBe('none');
    const directories = deleted(9).map((one) => ({ ...one, from: entry({ type: 'dir' }) }));
    expect(judge([rule], directories).action).toBe('none');
    const excepted = { ...rule, except: ['node_modules'] };
    expect(judge([excepted], deleted(9, 'a/node_modules/b')).action).toBe('none');
  });

  it('counts a copy once: one new file does not excuse two deleted ones', () => {
    const twins = Array.from({ length: 5 }, (_, i) => change('deleted', `t/${i}`));
    expect(judge([rule], [...twins, change('added', 'u')]).action).toBe('ask');
    expect(judge([rule], [...twins, change('added', 'u'), change('added', 'v')]).action).toBe(
      'none',
    );
  });
});

describe('deleted-share', () => {
  const rule: PolicyRule = { rule: 'deleted-share', maxPercent: 50, minFiles: 4, ...off };

  it('objects above the share, from the smallest number on', () => {
    expect(judge([rule], deleted(3), 3).action).toBe('none');
    expect(judge([rule], deleted(4), 8).action).toBe('none');
    expect(judge([rule], deleted(5), 9).action).toBe('ask');
  });

  it('asks for no more of the tree to be counted than decides it', () => {
    const judging = judgeChanges([{ rule, source: 'default' }]);
    for (const one of deleted(3)) judging.see(one);
    expect(judging.filesToCount()).toBe(0);
    for (const one of deleted(2, 'g')) judging.see(one);
    expect(judging.filesToCount()).toBe(10);
    expect(judging.verdict(10).action).toBe('none');
    expect(judging.verdict(9).action).toBe('ask');
  });
});

describe('bytes', () => {
  it('are counted for what is deleted and for what is written', () => {
    const gone: PolicyRule = { rule: 'deleted-bytes', maxBytes: 20, ...off };
    expect(judge([gone], deleted(2)).action).toBe('none');
    expect(judge([gone], deleted(3)).action).toBe('ask');
    const written: PolicyRule = { rule: 'written-bytes', maxBytes: 100, ...off };
    const big = entry({ sizeBytes: 101 });
    expect(judge([written], [change('modified', 'a', { of: big })]).action).toBe('ask');
    expect(judge([written], [change('metadata', 'a', { of: big })]).action).toBe('none');
  });
});

describe('protected-paths', () => {
  const rule: PolicyRule = {
    rule: 'protected-paths',
    paths: ['.env*', '/db/migrations'],
    changes: ['deleted', 'modified', 'metadata'],
    action: 'rollback',
  };

  it('objects to the changes it names, at any depth or from the root', () => {
    expect(judge([rule], [change('modified', 'sub/.env.local')]).action).toBe('rollback');
    expect(judge([rule], [change('deleted', 'db/migrations/001.sql')]).action).toBe('rollback');
    expect(judge([rule], [change('deleted', 'x/db/migrations/1')]).action).toBe('none');
    expect(judge([rule], [change('added', '.env')]).action).toBe('none');
    expect(judge([rule], [change('type', '.env')]).action).toBe('rollback');
  });

  it('takes a time stamp alone for no change', () => {
    const touched = change('metadata', '.env', { fields: ['mtime'] });
    expect(judge([rule], [touched]).action).toBe('none');
    expect(judge([rule], [change('metadata', '.env', { fields: ['mode'] })]).action).toBe(
      'rollback',
    );
  });
});

describe('modes and owners', () => {
  const gained = (from: number, to: number, type: 'file' | 'dir' = 'file'): TreeChange =>
    change('metadata', 'a', {
      ...{ from: entry({ mode: from, type }), to: entry({ mode: to, type }), fields: ['mode'] },
    });
  const modes = (...flags: ('setuid' | 'world-writable' | 'executable' | 'any')[]): PolicyRule => ({
    ...{ rule: 'modes', flags, ...off },
  });

  it('object to a permission that was gained, not to one that was there or went', () => {
    expect(judge([modes('world-writable')], [gained(0o644, 0o666)]).action).toBe('ask');
    expect(judge([modes('world-writable')], [gained(0o666, 0o644)]).action).toBe('none');
    expect(judge([modes('world-writable')], [gained(0o666, 0o777)]).action).toBe('none');
    expect(judge([modes('setuid')], [gained(0o755, 0o4755)]).action).toBe('ask');
    expect(judge([modes('executable')], [gained(0o644, 0o744)]).action).toBe('ask');
    expect(judge([modes('executable')], [gained(0o600, 0o700, 'dir')]).action).toBe('none');
    expect(judge([modes('any')], [gained(0o644, 0o600)]).action).toBe('ask');
  });

  it('object to another owner', () => {
    const rule: PolicyRule = { rule: 'owners', ...off };
    const given = change('metadata', 'a', { to: entry({ uid: 7 }), fields: ['owner'] });
    expect(judge([rule], [given]).action).toBe('ask');
    expect(judge([rule], [change('metadata', 'a')]).action).toBe('none');
  });
});

describe('combineRules()', () => {
  it('lets the person replace or drop built-in rules, and the workspace only add', () => {
    const many = deleted(500);
    expect(judgeAll(combineRules(NO_USER_POLICY, []), many)).toBe('warn');
    const loose = { ...NO_USER_POLICY, rules: [{ rule: 'deleted-files', action: 'off' }] } as const;
    expect(judgeAll(combineRules(loose, []), many)).toBe('none');
    const strict: PolicyRule = { rule: 'deleted-files', max: 1, except: [], action: 'rollback' };
    expect(judgeAll(combineRules(loose, [strict]), many)).toBe('rollback');
    const lax: PolicyRule = { rule: 'deleted-files', max: 1e6, except: [], action: 'note' };
    expect(judgeAll(combineRules(NO_USER_POLICY, [lax]), many)).toBe('warn');
    expect(judgeAll(combineRules({ ...loose, workspaceFile: 'ignore' }, [strict]), many)).toBe(
      'none',
    );
  });

  function judgeAll(rules: readonly SourcedRule[], changes: readonly TreeChange[]): string {
    const judging = judgeChanges(rules);
    for (const one of changes) judging.see(one);
    return judging.verdict(1e6).action;
  }
});

describe('verdictForAgent()', () => {
  it('tells what was found and what follows, and nothing of mere notes', () => {
    const note: PolicyRule = { rule: 'owners', except: [], action: 'note' };
    const given = change('metadata', 'a', { to: entry({ uid: 7 }) });
    expect(verdictForAgent(judge([note], [given]), null)).toBe(null);
    const rule: PolicyRule = { rule: 'deleted-files', max: 0, except: [], action: 'rollback' };
    const text = verdictForAgent(judge([rule], deleted(1, 'a\nb')), 'done') ?? '';
    expect(text.split('\n')).toHaveLength(2);
    expect(text).toContain('put back to the state before this call');
    expect(text).toContain('It deleted 1 file');
    expect(severityOf('none')).toBeLessThan(severityOf('note'));
  });
});
