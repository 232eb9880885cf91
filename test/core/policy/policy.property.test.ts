import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { combineRules, NO_USER_POLICY } from '../../../src/core/policy/combine-rules.ts';
import { adviseOn } from '../../../src/core/policy/destructive-command.ts';
import { judgeChanges } from '../../../src/core/policy/judge-changes.ts';
import { compilePattern } from '../../../src/core/policy/path-pattern.ts';
import {
  MODE_FLAGS,
  POLICY_ACTIONS,
  type PolicyRule,
  PROTECTED_CHANGES,
  type SourcedRule,
  severityOf,
} from '../../../src/core/policy/policy-rule.ts';
import { type RawPath, rawFromText } from '../../../src/core/raw-path.ts';
import type { TreeChange } from '../../../src/core/tree-change.ts';
import { change, entry } from '../change-samples.ts';

const name = fc.constantFrom('a', 'b', 'ab', '.env', '.env.local', '*', 'node_modules', 'é');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
const patternPart = fc.constantFrom('a', 'b', '*', '?', '**', '.env*', 'a*b', '*a*b*', 'é');
const pattern = fc
  .tuple(fc.boolean(), fc.array(patternPart, { minLength: 1, maxLength: 4 }))
  .map(([isAnchored, parts]) => `${isAnchored ? '/' : ''}${parts.join('/')}`);

const action = fc.constantFrom(...POLICY_ACTIONS);
const except = fc.array(pattern, { maxLength: 2 });
const rule: fc.Arbitrary<PolicyRule> = fc.oneof(
  fc.record({ rule: fc.constant('deleted-files' as const), max: fc.nat(5), except, action }),
  fc.record({
    ...{ rule: fc.constant('deleted-share' as const), maxPercent: fc.nat(100) },
    ...{ minFiles: fc.nat(5), except, action },
  }),
  fc.record({ rule: fc.constant('deleted-bytes' as const), maxBytes: fc.nat(50), except, action }),
  fc.record({ rule: fc.constant('written-bytes' as const), maxBytes: fc.nat(50), except, action }),
  fc.record({
    rule: fc.constant('protected-paths' as const),
    paths: fc.array(pattern, { maxLength: 3 }),
    changes: fc.subarray([...PROTECTED_CHANGES]),
    action,
  }),
  fc.record({
    rule: fc.constant('modes' as const),
    flags: fc.subarray([...MODE_FLAGS]),
    except,
    action,
  }),
  fc.record({ rule: fc.constant('owners' as const), except, action }),
);

const someEntry = fc
  .record({
    type: fc.constantFrom('file' as const, 'dir' as const, 'symlink' as const),
    mode: fc.constantFrom(0o644, 0o755, 0o666, 0o4755),
    uid: fc.nat(2),
    sizeBytes: fc.nat(30),
    mtimeNs: fc.bigInt({ min: 0n, max: 5n }),
  })
  .map((fields) => entry(fields));
const someChange: fc.Arbitrary<TreeChange> = fc
  .record({
    kind: fc.constantFrom('added', 'deleted', 'modified', 'metadata', 'type', 'uncovered'),
    path,
    from: someEntry,
    to: someEntry,
  })
  .map(({ kind, path: at, from, to }) =>
    change(kind, at, {
      from: kind === 'added' ? null : from,
      to: kind === 'deleted' ? null : to,
      fields: kind === 'metadata' ? ['mode'] : [],
    }),
  );

function severity(rules: readonly SourcedRule[], changes: readonly TreeChange[], files: number) {
  const judging = judgeChanges(rules);
  for (const one of changes) judging.see(one);
  return severityOf(judging.verdict(files).action);
}

describe('a policy', () => {
  it('never judges milder because the workspace brought rules of its own', () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 5 }),
        fc.array(rule, { maxLength: 5 }),
        fc.array(someChange, { maxLength: 30 }),
        fc.nat(100),
        (user, workspace, changes, files) => {
          const policy = { ...NO_USER_POLICY, rules: user };
          const without = severity(combineRules(policy, []), changes, files);
          const together = severity(combineRules(policy, workspace), changes, files);
          expect(together).toBeGreaterThanOrEqual(without);
        },
      ),
    );
  });

  it('is decided by as many files as it asks to have counted', () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 5 }),
        fc.array(someChange, { maxLength: 30 }),
        fc.nat(200),
        (rules, changes, files) => {
          const judging = judgeChanges(rules.map((one) => ({ rule: one, source: 'user' })));
          for (const one of changes) judging.see(one);
          const counted = Math.min(files, judging.filesToCount());
          const isMade = counted === files || counted > 0 || judging.filesToCount() === 0;
          expect(isMade).toBe(true);
          expect(judging.verdict(counted).action).toBe(judging.verdict(files).action);
        },
      ),
    );
  });

  it('names the strongest finding first and bounds what it names', () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 8 }),
        fc.array(someChange, { maxLength: 40 }),
        (rules, changes) => {
          const judging = judgeChanges(rules.map((one) => ({ rule: one, source: 'user' })));
          for (const one of changes) judging.see(one);
          const { action: strongest, findings } = judging.verdict(3);
          const severities = findings.map((finding) => severityOf(finding.action));
          expect(severities).toEqual(severities.toSorted((a, b) => b - a));
          expect(strongest).toBe(findings[0]?.action ?? 'none');
          expect(findings.every(({ paths }) => paths.length <= 5)).toBe(true);
        },
      ),
    );
  });
});

/** The documented meaning, as a regular expression over the whole path and each of its parents. */
function matchesByDefinition(text: string, at: string): boolean {
  const raw = rawFromText(text);
  const isAnchored = raw.slice(0, -1).includes('/');
  const segments = raw.split('/').filter((one) => one !== '');
  const sought = isAnchored ? segments : ['**', ...segments];
  const source = sought
    .map((segment, i) => {
      const isLast = i === sought.length - 1;
      if (segment === '**') return isLast ? '(?:[^/]+/)*' : '(?:[^/]+/)*';
      const one = segment.replace(/[.]/g, '\\.').replace(/\*+/g, '[^/]*').replace(/\?/g, '[^/]');
      return `${one}/`;
    })
    .join('');
  const names = rawFromText(at).split('/');
  const expression = new RegExp(`^${source}$`, 's');
  return names.some((_, i) => expression.test(`${names.slice(0, i + 1).join('/')}/`));
}

describe('a path pattern', () => {
  it('matches what its definition says', () => {
    fc.assert(
      fc.property(pattern, path, (text, at) => {
        const raw = rawFromText(at) as RawPath;
        expect(compilePattern(text).matches(raw)).toBe(matchesByDefinition(text, at));
      }),
      { numRuns: 2000 },
    );
  });

  it('takes bounded time for a hostile pattern', () => {
    const hostile = compilePattern(`${'*a'.repeat(200)}b/${'**/'.repeat(80)}c`);
    expect(hostile.matches(`${'a'.repeat(4000)}/${'x/'.repeat(500)}d` as RawPath)).toBe(false);
  });
});

describe('adviseOn()', () => {
  it('takes any text and never throws', () => {
    const piece = fc.constantFrom(
      ...[
        'rm',
        '-rf',
        ' ',
        "'",
        '"',
        '\\',
        '>',
        '>>',
        '|',
        '$(',
        ')',
        ';',
        '\n',
        'sh',
        '-c',
        'git',
        '#',
      ],
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 30 }), (pieces) => {
        expect(Array.isArray(adviseOn(pieces.join('')))).toBe(true);
      }),
    );
  });
});
