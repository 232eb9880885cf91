/**
 * Path patterns, in the way of .gitignore: `.env*`, `migrations/**`, `/ghostsnap.json`.
 *
 * A pattern without a slash (but at its end) is a name at any depth; one with a slash starts at the
 * workspace's root. Either matches what lies below a match as well. `*` and `?` stay within a name, `**`
 * as a whole segment is any number of directories. Matching takes at most pattern length times path
 * length steps, whatever the pattern: it may come from an untrusted file. Paths are bytes; `?` is one byte.
 */
import { type RawPath, rawFromText } from '../raw-path.ts';

export interface PathPattern {
  /** True when the pattern matches the path or one of its parents. */
  matches(path: RawPath): boolean;
}

/** Compiles a pattern from text. An empty pattern matches nothing. */
export function compilePattern(text: string): PathPattern {
  const raw = rawFromText(text);
  const segments = raw.split('/').filter((segment) => segment !== '');
  const isAnchored = raw.slice(0, -1).includes('/');
  if (segments.length === 0) return { matches: () => false };
  const sought = isAnchored ? segments : ['**', ...segments];
  return { matches: (path) => path !== '' && matchesPrefix(sought, path.split('/')) };
}

/** A pattern list as one: true when any matches. */
export function compilePatterns(texts: readonly string[]): PathPattern {
  const patterns = texts.map(compilePattern);
  return { matches: (path) => patterns.some((pattern) => pattern.matches(path)) };
}

/**
 * Whether the segments match some leading part of the names. `reached[k]`: the first k segments match
 * the names read so far.
 */
function matchesPrefix(segments: readonly string[], names: readonly string[]): boolean {
  let reached = withEmptyRuns(segments, [true]);
  for (const name of names) {
    const next: boolean[] = [];
    for (const [k, segment] of segments.entries()) {
      if (reached[k] !== true) continue;
      if (segment === '**') next[k] = true;
      else if (matchesName(segment, name)) next[k + 1] = true;
    }
    reached = withEmptyRuns(segments, next);
    if (reached[segments.length] === true) return true;
  }
  return false;
}

/** `**` also stands for no directory at all, but a path is not matched by it alone. */
function withEmptyRuns(segments: readonly string[], reached: readonly boolean[]): boolean[] {
  const all = [...reached];
  for (const [k, segment] of segments.entries()) {
    if (all[k] === true && segment === '**') all[k + 1] = true;
  }
  return all;
}

/** Wildcards within one name, with one point to come back to: never exponential. */
function matchesName(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let star = -1;
  let starAt = 0;
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p;
      starAt = n;
      p += 1;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p += 1;
      n += 1;
    } else if (star >= 0) {
      starAt += 1;
      p = star + 1;
      n = starAt;
    } else return false;
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}
