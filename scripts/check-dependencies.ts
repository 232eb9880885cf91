/**
 * Checks which way the modules depend on each other (dependency-cruiser.config.mjs).
 *
 * The tool reports success when it can not parse TypeScript at all and sees no module, so the number of
 * modules it has seen is compared with the number of files there are.
 */
import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';

interface CruiseResult {
  readonly modules: readonly { readonly source: string }[];
  readonly summary: {
    readonly totalCruised: number;
    readonly violations: readonly {
      readonly from: string;
      readonly to: string;
      readonly comment?: string;
      readonly rule: { readonly name: string; readonly severity: string };
    }[];
  };
}

const ROOTS = ['src', 'test', 'bench', 'scripts'];
const OUTPUT_BYTES_MAX = 1 << 28;

function cruise(): CruiseResult {
  const flags = ['--config', 'dependency-cruiser.config.mjs', '--output-type', 'json'];
  return JSON.parse(
    execFileSync('node_modules/.bin/depcruise', [...flags, ...ROOTS], {
      encoding: 'utf8',
      maxBuffer: OUTPUT_BYTES_MAX,
    }),
  ) as CruiseResult;
}

const result = cruise();
const seen = new Set(result.modules.map((module) => module.source));
const unseen = globSync('src/**/*.ts').filter((file) => !seen.has(file));
if (seen.size === 0 || unseen.length > 0) {
  console.error(`dependency-cruiser has not seen ${unseen.length} files: ${unseen.join(', ')}`);
  process.exitCode = 1;
}
const problems = result.summary.violations.filter(({ rule }) => rule.severity === 'error');
for (const { from, to, rule } of problems) {
  console.error(`${rule.name}: ${from} imports ${to}`);
  process.exitCode = 1;
}
console.error(`${seen.size} modules, ${problems.length} wrong dependencies.`);
