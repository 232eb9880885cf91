/** The rule `written-bytes`: files with more than so many bytes in all made or rewritten. */
import { compilePatterns } from './path-pattern.ts';
import type { PolicyRule } from './policy-rule.ts';
import { filesText, NamedPaths, type RuleWatch } from './rule-watch.ts';

export function watchWrittenBytes(rule: Extract<PolicyRule, { rule: 'written-bytes' }>): RuleWatch {
  const except = compilePatterns(rule.except);
  const named = new NamedPaths();
  let bytes = 0;
  return {
    see: ({ kind, path, to }) => {
      const isWritten = kind === 'added' || kind === 'modified' || kind === 'type';
      if (!isWritten || to?.type !== 'file' || except.matches(path)) return;
      named.add(path);
      bytes += to.sizeBytes;
    },
    filesToCount: () => 0,
    objection: () => {
      if (bytes <= rule.maxBytes) return null;
      const what = `${filesText(named.count)} with ${bytes} bytes`;
      const message = `It wrote ${what}, more than the ${rule.maxBytes} allowed.`;
      return { message, paths: named.shown };
    },
  };
}
