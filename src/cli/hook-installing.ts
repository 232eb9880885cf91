/**
 * Connecting harnesses, for a person: the change is shown, then asked for, then made.
 *
 * Nothing of what a harness's file holds is printed beyond the lines around the change.
 */
import { createTwoFilesPatch } from 'diff';
import { HARNESS_NAMES, type HarnessName } from '../agent/harness/harness.ts';
import { HARNESSES, harnessNamed } from '../agent/harness-table.ts';
import type { InstallScope } from '../agent/install/installer.ts';
import { INSTALLERS } from '../agent/install/installers.ts';
import { GhostsnapError } from '../core/errors.ts';
import { askDaemon } from '../daemon/daemon-client.ts';
import { daemonPlace } from '../daemon/daemon-place.ts';
import { resolveHome } from '../daemon/home.ts';
import { readHookCounts } from '../daemon/hook-notes.ts';
import { prepareConnection } from '../daemon/hook-script.ts';
import {
  type HookFileChange,
  hookStates,
  planConnect,
  planDisconnect,
  writeHookFile,
} from '../daemon/install-hooks.ts';
import type { CliContext } from './cli-context.ts';
import { confirmOrThrow } from './confirm.ts';
import { formatAge, roundedMs } from './human-units.ts';

interface ScopeOptions {
  readonly user?: true;
  readonly project?: true;
  readonly yes?: true;
  readonly http?: true;
}

interface Json {
  readonly json?: true;
}

export async function install(
  context: CliContext,
  names: readonly string[],
  options: ScopeOptions,
): Promise<void> {
  const { environment, output } = context;
  const scope = scopeOf(options);
  const harnesses = names.length > 0 ? names.map(nameOf) : foundHarnesses(context);
  const way = options.http === true ? 'http' : 'command';
  if (way === 'http' && scope === 'project') {
    throw new GhostsnapError('BAD_ARGUMENT', '--http puts a secret into the file.', {
      hint: 'Use it with --user: a project is shared with others.',
    });
  }
  const connection = await prepareConnection({ environment, scope, way });
  const changes = harnesses.map((harness) =>
    planConnect(harness, { scope, environment, connection }),
  );
  const made = await showAndWrite(context, changes, options);
  for (const harness of harnesses) {
    for (const note of INSTALLERS[harness].notes)
      output.note(`${HARNESSES[harness].title}: ${note}`);
  }
  if (made > 0) output.note('Try one with "ghostsnap hook test NAME" in a workspace.');
}

export async function uninstall(
  context: CliContext,
  names: readonly string[],
  options: ScopeOptions,
): Promise<void> {
  const harnesses = names.length > 0 ? names.map(nameOf) : HARNESS_NAMES;
  const all: readonly InstallScope[] = ['user', 'project'];
  const scopes = all.filter(
    (scope) => (options.user ?? options.project) === undefined || options[scope],
  );
  const changes = harnesses.flatMap((harness) =>
    scopes.flatMap((scope) => planDisconnect(harness, scope, context.environment) ?? []),
  );
  await showAndWrite(context, changes, options);
}

export async function status(context: CliContext, options: Json): Promise<void> {
  const { environment, output } = context;
  const home = resolveHome(environment);
  // A daemon that runs writes down what it has counted when it is asked for anything.
  await askDaemon(daemonPlace(home, environment), { method: 'GET', path: '/status' });
  const states = hookStates(environment).map((state) => {
    const counts = readHookCounts(home, state.harness);
    const { lastSeenMs, ...rest } = counts;
    const lastSeen = lastSeenMs === 0 ? null : new Date(lastSeenMs).toISOString();
    return { ...state, lastSeen, counts: rest, notes: INSTALLERS[state.harness].notes };
  });
  if (options.json === true) {
    output.json(states);
    return;
  }
  for (const { harness, found, user, project, trust, lastSeen, counts } of states) {
    if (!found && user === null && project === null) continue;
    const where = [user, project].filter((file) => file !== null).join(', ');
    const age = lastSeen === null ? 'never seen' : `seen ${formatAge(lastSeen, Date.now())}`;
    const missing = counts.unprotected + counts.outside;
    const words = [
      where === '' ? output.colors.dim('not connected') : `connected in ${where}`,
      ...(where === '' ? [] : [age, `${counts.protected} calls with a snapshot`]),
      ...(missing === 0 ? [] : [output.colors.yellow(`${missing} without`)]),
      ...(counts.blocked === 0 ? [] : [output.colors.yellow(`${counts.blocked} not let through`)]),
    ];
    output.line(`${HARNESSES[harness].title.padEnd(12)} ${words.join(', ')}`);
    if (trust !== null && trust.why !== null) {
      output.line(`${''.padEnd(12)} ${output.colors.yellow(trust.state)}: ${trust.why}`);
    }
  }
}

export async function test(context: CliContext, name: string, options: Json): Promise<void> {
  const { testHook } = await import('../daemon/test-hook.ts');
  const result = await testHook(name, context.environment);
  const durationMs = roundedMs(result.durationMs);
  if (options.json === true) {
    context.output.json({ harness: name, ...result, durationMs });
    return;
  }
  context.output.line(result.snapshot);
  context.output.note(`A call went through ${result.file} in ${durationMs} ms.`);
}

async function showAndWrite(
  context: CliContext,
  changes: readonly HookFileChange[],
  options: ScopeOptions,
): Promise<number> {
  const { output } = context;
  const real = changes.filter(({ before, after }) => before !== after);
  for (const change of changes) {
    if (change.before === change.after) output.note(`${change.file} is as it should be.`);
  }
  if (real.length === 0) return 0;
  for (const change of real) output.note(patchOf(change));
  if (options.yes !== true) {
    const question = `Change ${real.length === 1 ? 'this file' : `these ${real.length} files`}?`;
    await confirmOrThrow(context, { question, what: 'Changing the files of other programs' });
  }
  for (const change of real) {
    writeHookFile(change);
    output.line(change.file);
  }
  return real.length;
}

function patchOf({ file, before, after }: HookFileChange): string {
  if (after === null) return `Remove ${file}`;
  const patch = createTwoFilesPatch(file, file, before ?? '', after, '', '', { context: 2 });
  return patch
    .split('\n')
    .slice(1)
    .join('\n')
    .replace(/Bearer [^"]+/g, 'Bearer ...')
    .trimEnd();
}

function scopeOf(options: ScopeOptions): InstallScope {
  if (options.user === true && options.project === true) {
    throw new GhostsnapError('BAD_ARGUMENT', 'Give --user or --project, not both.', {
      hint: 'Run it twice to have both.',
    });
  }
  return options.project === true ? 'project' : 'user';
}

function nameOf(name: string): HarnessName {
  return harnessNamed(name).name;
}

/** @throws GhostsnapError BAD_ARGUMENT when there is none */
function foundHarnesses({ environment }: CliContext): readonly HarnessName[] {
  const found = hookStates(environment).filter((state) => state.found);
  if (found.length > 0) return found.map(({ harness }) => harness);
  throw new GhostsnapError('BAD_ARGUMENT', 'No agent was found on this machine.', {
    hint: `Name one: ${HARNESS_NAMES.join(', ')}.`,
  });
}
