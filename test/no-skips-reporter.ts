/**
 * A skipped test proves nothing: this reporter prints every skip with its reason, and under CI it makes
 * the run fail. It also leaves the counts that scripts/test.sh adds up.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

interface Counts {
  passed: number;
  failed: number;
  readonly skipped: string[];
}

export default class NoSkipsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts: Counts = { passed: 0, failed: errors.length, skipped: [] };
    for (const module of modules) countModule(module, counts);
    const isCi = process.env.CI !== undefined && process.env.CI !== 'false';
    for (const skip of counts.skipped) process.stderr.write(`skipped: ${skip}\n`);
    if (isCi && counts.skipped.length > 0) {
      process.stderr.write(
        `${counts.skipped.length} tests were skipped; under CI that is a failure.\n`,
      );
      process.exitCode = 1;
      counts.failed += counts.skipped.length;
    }
    const path = process.env.GHOSTSNAP_TEST_COUNTS;
    if (path === undefined) return;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${counts.passed} ${counts.failed} ${counts.skipped.length}\n`);
  }
}

function countModule(module: TestModule, counts: Counts): void {
  // A file that does not even load has no tests: it counts as one failure.
  if (module.errors().length > 0) counts.failed += 1;
  for (const test of module.children.allTests()) {
    const result = test.result();
    if (result.state === 'passed') counts.passed += 1;
    else if (result.state === 'failed') counts.failed += 1;
    else if (result.state === 'skipped') {
      counts.skipped.push(`${test.fullName}: ${result.note ?? 'no reason given'}`);
    } else counts.failed += 1;
  }
}
