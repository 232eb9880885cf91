/**
 * Every event of every harness, as its documents or the program itself sent it, and what it means here.
 * `payload` is theirs; `action` and `replies` are ours.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HARNESS_NAMES, type HarnessName } from '../../src/agent/harness/harness.ts';
import { HARNESSES } from '../../src/agent/harness-table.ts';
import type { HookOutcome } from '../../src/agent/hook-action.ts';
import { GhostsnapError } from '../../src/core/errors.ts';

const GOLDEN = join(import.meta.dirname, '..', 'golden', 'hooks');

interface Golden {
  readonly source: string;
  readonly event: string;
  readonly payload: unknown;
  readonly action: Record<string, unknown>;
}

function goldens(harness: HarnessName): [string, Golden][] {
  const names = readdirSync(join(GOLDEN, harness)).sort();
  return names.map((name) => [
    name,
    JSON.parse(readFileSync(join(GOLDEN, harness, name), 'utf8')) as Golden,
  ]);
}

describe.each(HARNESS_NAMES)('%s', (name) => {
  const harness = HARNESSES[name];

  it.each(goldens(name))('understands %s', (_file, golden) => {
    expect(harness.parse(golden.payload, golden.event)).toMatchObject(golden.action);
  });

  it('has golden payloads for before, after, a read-only tool and a prompt', () => {
    const actions = goldens(name).map(
      ([, { action }]) => `${action.type} ${action.readOnly ?? ''}`,
    );
    const wanted = ['begin-call no', 'begin-call yes', 'end-call ', 'prompt '];
    expect(actions).toEqual(expect.arrayContaining(wanted));
  });

  it('reports the same call before and after, also in a probe', () => {
    const probe = { session: 's', call: 'c', directory: '/w', tool: 'any' };
    const before = harness.parse(harness.probe(harness.beforeTool, probe), harness.beforeTool);
    const after = harness.parse(harness.probe(harness.afterTool, probe), harness.afterTool);
    expect(before).toMatchObject({ type: 'begin-call', readOnly: 'no', directory: '/w' });
    expect(after).toMatchObject({ type: 'end-call', outcome: 'ok' });
    if (before.type !== 'begin-call' || after.type !== 'end-call') throw new Error('no call');
    expect([after.session, after.key]).toEqual([before.session, before.key]);
  });

  it('never says that a tool is allowed, and says why one is not', () => {
    const outcomes: HookOutcome[] = [
      { type: 'ok' },
      { type: 'notice', message: 'm' },
      { type: 'error', reason: 'e' },
      { type: 'feedback', message: 'f' },
      { type: 'advice', message: 'a' },
    ];
    for (const outcome of outcomes) {
      const { stdout, exitCode } = harness.reply(harness.beforeTool, outcome);
      expect(exitCode).toBe(0);
      expect(stdout).not.toMatch(/allow|approve|deny|block/);
    }
    const blocked = harness.reply(harness.beforeTool, { type: 'block', reason: 'full "disk"' });
    expect(JSON.stringify(JSON.parse(blocked.stdout))).toContain('full \\"disk\\"');
    expect(blocked.stdout).toMatch(/deny|"block"/);
    if (!harness.canAsk) return;
    const asked = harness.reply(harness.beforeTool, { type: 'ask', reason: 'really?' });
    expect(asked.stdout).toMatch(/(permissionDecision|decision|permission)":"ask"/);
    expect(asked.stdout).toContain('really?');
  });

  it('gives an action or its own error for any JSON, and for damaged payloads', () => {
    const [, { payload, event }] = goldens(name)[0]!;
    const damaged = fc
      .tuple(fc.constantFrom(...Object.keys(payload as object)), fc.jsonValue({ maxDepth: 2 }))
      .map(([key, value]) => ({ ...(payload as object), [key]: value }));
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue({ maxDepth: 4 }), damaged), (value) => {
        try {
          const action = harness.parse(value, event);
          if (action.type === 'ignore') return;
          expect(action.directory.startsWith('/')).toBe(true);
          expect(Buffer.byteLength(action.session)).toBeLessThanOrEqual(1024);
        } catch (error) {
          expect(error).toBeInstanceOf(GhostsnapError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
