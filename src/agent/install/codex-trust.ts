/**
 * Whether Codex will run the hooks in its files. It records what a person has trusted in `config.toml`: a
 * project by its path, a hook by a hash of what it does.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { isOurEntry } from './installer.ts';
import { isFields, listOf, valueAt } from './settings-value.ts';
import {
  disabled,
  ENABLED,
  type HookTrust,
  type TrustQuestion,
  untrusted,
} from './trust-answer.ts';

/**
 * A hook runs once config.toml holds its hash, in `[hooks.state."FILE:event:group:hook"]`; a hook that was
 * changed since waits again. A project's hooks wait for the project's trust as well.
 */
export function codexTrust({ place, scope, file, read }: TrustQuestion): HookTrust {
  const home = place.env.CODEX_HOME;
  const base = home !== undefined && path.isAbsolute(home) ? home : `${place.homeDir}/.codex`;
  const config = path.join(base, 'config.toml');
  const tables = tomlTables(read(config) ?? '');
  if (/^\s*(codex_)?hooks\s*=\s*false\b/m.test(read(config) ?? '')) {
    return disabled(`the feature "hooks" is off in ${config}`);
  }
  if (scope === 'project' && !isTrustedProject(place.projectDir, tables)) {
    return untrusted('Codex runs hooks of a project only when it is trusted: start it there once.');
  }
  const hooks = codexHooks(read(file), file);
  if (hooks.some(({ key }) => /^enabled\s*=\s*false\b/m.test(tables.get(stateTable(key)) ?? ''))) {
    return disabled('a hook is switched off: type /hooks in a session');
  }
  const waiting = hooks.filter(
    ({ key, hash }) => !(tables.get(stateTable(key)) ?? '').includes(`"${hash}"`),
  );
  const events = waiting.map(({ event }) => event).join(', ');
  return waiting.length === 0
    ? ENABLED
    : untrusted(
        `Codex passes over a hook until you trust it, in silence: type /hooks in a session (${events}).`,
      );
}

/** The text of each table by its header. Written by Codex itself, one setting a line. */
function tomlTables(text: string): ReadonlyMap<string, string> {
  const tables = text.split(/^\s*\[/m).slice(1);
  return new Map(
    tables.map((table) => {
      const end = table.search(/\][ \t]*(#.*)?$/m);
      return [table.slice(0, end), table.slice(end + 1)];
    }),
  );
}

function stateTable(key: string): string {
  return `hooks.state.${JSON.stringify(key)}`;
}

function isTrustedProject(directory: string, tables: ReadonlyMap<string, string>): boolean {
  const settings = tables.get(`projects.${JSON.stringify(directory)}`) ?? '';
  return /^trust_level\s*=\s*"trusted"/m.test(settings);
}

interface CodexHook {
  readonly event: string;
  readonly key: string;
  readonly hash: string;
}

/** Of ours, by the place that each has in the file. */
function codexHooks(text: string | null, file: string): readonly CodexHook[] {
  const events = valueAt(text, ['hooks']);
  return Object.entries(isFields(events) ? events : {}).flatMap(([event, groups]) =>
    listOf(groups).flatMap((group, groupAt) => {
      const { matcher, hooks } = isFields(group) ? group : {};
      return listOf(hooks).flatMap((hook, hookAt) => {
        if (!isFields(hook) || !isOurEntry(hook)) return [];
        const name = snakeCase(event);
        const key = `${file}:${name}:${groupAt}:${hookAt}`;
        return [{ event, key, hash: codexHash(name, { matcher, hook }) }];
      });
    }),
  );
}

/**
 * What Codex writes down as trusted: SHA-256 of the hook as JSON with sorted keys and without blanks. Tried
 * with 0.169.0; were another version to differ, its hooks would be said to wait.
 */
function codexHash(
  event: string,
  { matcher, hook }: { readonly matcher: unknown; readonly hook: Record<string, unknown> },
): string {
  const { command, timeout } = hook;
  const identity = {
    event_name: event,
    hooks: [{ async: false, command, timeout, type: 'command' }],
    ...(matcher === undefined ? {} : { matcher }),
  };
  return `sha256:${createHash('sha256').update(JSON.stringify(identity)).digest('hex')}`;
}

function snakeCase(event: string): string {
  return event.replace(/(?<=[a-z])[A-Z]/g, '_$&').toLowerCase();
}
