/**
 * Paths that a person gives, as paths below the workspace.
 *
 * Absolute ones must lie inside the workspace, relative ones are relative to its root; `.` and empty
 * segments go, `..` never leaves. Escapes of `displayPath` are understood, so that any name that was
 * printed can be given back.
 */
import { GhostsnapError } from '../core/errors.ts';
import { parseDisplayPath, parseRawPath, type RawPath } from '../core/raw-path.ts';

/** @throws GhostsnapError PATH_OUTSIDE, BAD_ARGUMENT */
export function parseWorkspacePaths(root: string, texts: readonly string[]): RawPath[] {
  return texts.map((text) => parseWorkspacePath(root, text));
}

function parseWorkspacePath(root: string, text: string): RawPath {
  // A variable that is not set must not stand for everything.
  if (text === '') {
    throw new GhostsnapError('BAD_ARGUMENT', 'A path is empty.', {
      hint: 'Name the path; "." means the directory you are in, the workspace itself included.',
    });
  }
  const inside = text.startsWith('/') ? relativeTo(root, text) : text;
  const segments: string[] = [];
  for (const segment of inside.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment !== '..') segments.push(segment);
    else if (segments.pop() === undefined) throw outside(root, text);
  }
  const raw = parseDisplayPath(segments.join('/'));
  return raw === '' ? (raw as RawPath) : parseRawPath(raw);
}

function relativeTo(root: string, text: string): string {
  if (text === root) return '';
  if (text.startsWith(root === '/' ? '/' : `${root}/`)) return text.slice(root.length);
  throw outside(root, text);
}

function outside(root: string, text: string): GhostsnapError {
  return new GhostsnapError(
    'PATH_OUTSIDE',
    `The path ${text} is not inside the workspace ${root}`,
    {
      hint: 'Name a path relative to the workspace, or an absolute one inside it.',
      data: { path: text, workspace: root },
    },
  );
}
