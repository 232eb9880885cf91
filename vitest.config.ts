/**
 * Test runner settings. Every test is real: forks, because tests mount, drop privileges and load native
 * code; no retries, because a test that passes the second time has shown a race.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    retry: 0,
    allowOnly: false,
    // Ceilings against hanging, not measurements: a loaded machine takes several times longer.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    sequence: { hooks: 'stack' },
    reporters: ['default', './test/no-skips-reporter.ts'],
  },
});
