/**
 * Hooks in a JSON file that is the person's: entries of ours in lists by event.
 *
 * The text is edited, not printed again, so that comments, order and layout of everything else stay. What
 * comes out is parsed and compared before anybody writes it: all that was there and was not ours must
 * be there still.
 */
import { isDeepStrictEqual } from 'node:util';
import { applyEdits, type JSONPath, modify, type ParseError, parse } from 'jsonc-parser';
import { assert, GhostsnapError } from '../../core/errors.ts';
import { isOurEntry } from './installer.ts';

/** Entries by event; `top`: fields that the file must have beside, as a version. */
export interface HookEntries {
  readonly events: Readonly<Record<string, unknown>>;
  readonly top?: Readonly<Record<string, unknown>>;
}

export function connectJson(text: string | null, entries: HookEntries, file: string): string {
  let edited = text === null || text.trim() === '' ? '{}\n' : text;
  const before = parseHooks(edited, file);
  for (const event of Object.keys(before.hooks)) {
    if (!(event in entries.events)) edited = removeOurs(edited, event, file);
  }
  for (const [key, value] of Object.entries(entries.top ?? {})) {
    if (!(key in before.config)) edited = change(edited, [key], value);
  }
  for (const [event, entry] of Object.entries(entries.events)) {
    const list = listOf(parseHooks(edited, file), event, file);
    const at = list.findIndex(isOurEntry);
    if (at < 0 && list.length === 0) edited = change(edited, ['hooks', event], [entry]);
    else if (at < 0) edited = insert(edited, ['hooks', event, -1], entry);
    else if (!isDeepStrictEqual(list[at], entry)) {
      edited = change(edited, ['hooks', event, at], entry);
    }
  }
  assertOthersKept(before.config, parseHooks(edited, file).config, entries.top ?? {});
  return edited;
}

/** null: nothing but empty objects and `top` remains. */
export function disconnectJson(text: string, file: string): string | null {
  const before = parseHooks(text, file);
  let edited = text;
  for (const event of Object.keys(before.hooks)) edited = removeOurs(edited, event, file);
  const after = parseHooks(edited, file);
  if (Object.keys(after.hooks).length === 0 && 'hooks' in after.config) {
    edited = change(edited, ['hooks'], undefined);
  }
  const rest = parseHooks(edited, file).config;
  assertOthersKept(before.config, rest, {});
  const isEmpty = Object.keys(rest).every((key) => key === 'version');
  return isEmpty && !/\/\/|\/\*/.test(edited) ? null : edited;
}

export function isConnectedJson(text: string): boolean {
  const config: unknown = parse(text);
  if (!isFields(config) || !isFields(config.hooks)) return false;
  return Object.values(config.hooks).some((list) => Array.isArray(list) && list.some(isOurEntry));
}

interface Hooks {
  readonly config: Record<string, unknown>;
  readonly hooks: Record<string, unknown>;
}

function parseHooks(text: string, file: string): Hooks {
  const errors: ParseError[] = [];
  const config: unknown = parse(text, errors, { allowTrailingComma: true });
  if (errors.length > 0 || !isFields(config)) {
    const at = errors[0]?.offset;
    const line = at === undefined ? 1 : text.slice(0, at).split('\n').length;
    throw badFile(file, `it is not JSON: see line ${line}`);
  }
  const { hooks = {} } = config;
  if (!isFields(hooks)) throw badFile(file, '"hooks" is not an object');
  return { config, hooks };
}

function listOf({ hooks }: Hooks, event: string, file: string): readonly unknown[] {
  const list = hooks[event] ?? [];
  if (Array.isArray(list)) return list;
  throw badFile(file, `"hooks.${event}" is not a list`);
}

/** Newest first, so that the places of the others stay. */
function removeOurs(text: string, event: string, file: string): string {
  const list = listOf(parseHooks(text, file), event, file);
  if (!list.some(isOurEntry)) return text;
  if (list.every(isOurEntry)) return change(text, ['hooks', event], undefined);
  let edited = text;
  for (let at = list.length - 1; at >= 0; at -= 1) {
    if (isOurEntry(list[at])) edited = change(edited, ['hooks', event, at], undefined);
  }
  return edited;
}

function change(text: string, path: JSONPath, value: unknown): string {
  const formattingOptions = formattingOf(text);
  return applyEdits(text, modify(text, path, value, { formattingOptions }));
}

function insert(text: string, path: JSONPath, value: unknown): string {
  const formattingOptions = formattingOf(text);
  return applyEdits(text, modify(text, path, value, { formattingOptions, isArrayInsertion: true }));
}

function formattingOf(text: string): { insertSpaces: boolean; tabSize: number; eol: string } {
  const indent = /^([ \t]+)"/m.exec(text)?.[1] ?? '  ';
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  return { insertSpaces: !indent.includes('\t'), tabSize: indent.length, eol };
}

/** A defect in an edit must end here, not in the person's file. */
function assertOthersKept(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  top: Readonly<Record<string, unknown>>,
): void {
  const isKept = isDeepStrictEqual(othersOf(before, top), othersOf(after, top));
  assert(isKept, 'everything in a configuration that is not ours is kept');
}

function othersOf(
  config: Record<string, unknown>,
  top: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { hooks = {}, ...rest } = config;
  const others = Object.entries(isFields(hooks) ? hooks : {})
    .map(([event, list]) => [
      event,
      Array.isArray(list) ? list.filter((e) => !isOurEntry(e)) : list,
    ])
    .filter(([, list]) => !Array.isArray(list) || list.length > 0);
  for (const key of Object.keys(top)) delete rest[key];
  return { ...rest, hooks: Object.fromEntries(others) };
}

function badFile(file: string, what: string): GhostsnapError {
  return new GhostsnapError('BAD_CONFIG', `Hooks can not be added to ${file}: ${what}.`, {
    hint: 'Correct the file; it was not changed.',
    data: { file },
  });
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
