/** The alert rules, the dashboard and the runbook speak of the same things, and of things that exist. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { METRICS, SPANS } from '../../src/core/telemetry-names.ts';
import { prometheusName } from '../../src/telemetry/sidecar/prometheus-text.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const RULES = join(ROOT, 'deploy', 'prometheus');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const rules = read('deploy/prometheus/ghostsnap.rules.yml');
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);
const recorded = [...rules.matchAll(/- record: (\S+)/g)].map(([, name = '']) => name);

const known = new Set([
  'up',
  ...recorded,
  ...METRICS.map(({ name, unit, kind }) => prometheusName(name, unit, kind)),
  ...SPANS.flatMap(({ name }) =>
    ['bucket', 'sum', 'count'].map(
      (part) => `${prometheusName(`${name}.duration`, 's', 'gauge')}_${part}`,
    ),
  ),
]);

/** Names of metrics in a query: words that are neither functions, labels, texts nor numbers. */
function namesIn(query: string): string[] {
  const bare = query
    .replaceAll(/"[^"]*"|\{[^}]*\}/g, ' ')
    .replaceAll(/\b(?:by|without|on) \([^)]*\)/g, ' ')
    .replaceAll(/\[[^\]]*\]/g, ' ');
  const words = [...bare.matchAll(/[a-z_][a-zA-Z0-9_:]*(?!\w|\s*\()/g)].map(([word]) => word);
  return words.filter((word) => !['and', 'or', 'unless', 'by', 'le', 'sum'].includes(word));
}

describe('the alert rules', () => {
  test('are valid, and each fires when it has to and not before', () => {
    execFileSync('promtool', ['check', 'rules', 'ghostsnap.rules.yml'], { cwd: RULES });
    execFileSync('promtool', ['test', 'rules', 'ghostsnap.rules.test.yml'], { cwd: RULES });
    const tried = read('deploy/prometheus/ghostsnap.rules.test.yml');
    expect(alerts.filter((alert) => !tried.includes(`alertname: ${alert}\n`))).toEqual([]);
  });

  test('name only metrics that exist', () => {
    const queries = [...rules.matchAll(/expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)/g)].map(
      ([, block, line]) => block ?? line ?? '',
    );
    expect(queries).toHaveLength(alerts.length + recorded.length);
    const names = queries.flatMap(namesIn);
    expect(names.length).toBeGreaterThan(queries.length);
    expect(names.filter((name) => !known.has(name))).toEqual([]);
  });

  test('each have a section in the runbook, and it has no other', () => {
    const runbook = read('docs/runbook.md');
    const sections = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, name = '']) => name);
    expect([...sections].sort()).toEqual([...alerts].sort());
    for (const text of runbook.split(/^## /m).slice(1)) {
      for (const part of ['**What it means.**', '**Look here.**', '**Do this.**']) {
        expect(text).toContain(part);
      }
    }
    for (const alert of alerts) {
      expect(rules).toContain(`runbook: docs/runbook.md#${alert.toLowerCase()}`);
    }
  });
});

describe('the dashboard', () => {
  test('is what its script makes', () => {
    execFileSync('node', ['scripts/make-dashboard.ts', '--check'], { cwd: ROOT });
  });

  test('asks only for metrics that exist', () => {
    const { panels } = JSON.parse(read('deploy/grafana/ghostsnap.json')) as {
      panels: { targets: { expr: string }[] }[];
    };
    const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    expect(queries.length).toBeGreaterThan(20);
    const names = queries.map((query) => namesIn(query));
    expect(names.filter((found) => found.length === 0)).toEqual([]);
    expect(names.flat().filter((name) => !known.has(name))).toEqual([]);
  });
});
