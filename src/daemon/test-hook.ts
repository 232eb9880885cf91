/**
 * Trying out a connection: a made-up call goes the way that a harness's would, and must end as a call
 * with a snapshot in the workspace.
 *
 * What is tried is what is installed: the command or request in the harness's own file, not what would be
 * installed now. Whether the harness runs it (trust, settings) only the harness can show.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parse } from 'jsonc-parser';
import type { Harness } from '../agent/harness/harness.ts';
import { harnessNamed } from '../agent/harness-table.ts';
import { isOurEntry } from '../agent/install/installer.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotId } from '../core/ids.ts';
import type { Environment } from './home.ts';
import { hookStates } from './install-hooks.ts';
import { openWorkspace } from './open-workspace.ts';

export interface HookTestResult {
  readonly file: string;
  readonly snapshot: SnapshotId;
  /** What the event before the tool took, all included. */
  readonly durationMs: number;
}

/** @throws GhostsnapError BAD_ARGUMENT when it is not connected, CAPTURE_FAILED when no snapshot came of it */
export async function testHook(name: string, environment: Environment): Promise<HookTestResult> {
  const harness = harnessNamed(name);
  const state = hookStates(environment).find((one) => one.harness === harness.name);
  const file = state?.project ?? state?.user ?? null;
  if (file === null) {
    throw new GhostsnapError('BAD_ARGUMENT', `${harness.title} is not connected.`, {
      hint: `Connect it with "ghostsnap hook install ${name}".`,
    });
  }
  const session = `hook-test-${process.pid}-${Date.now()}`;
  const probe = { session, call: session, directory: environment.cwd, tool: 'ghostsnap-test' };
  const startedMs = performance.now();
  const send = name === 'opencode' ? await pluginOf(file) : sendByFile(harness, file, environment);
  const said = await send(harness.beforeTool, harness.probe(harness.beforeTool, probe));
  const durationMs = performance.now() - startedMs;
  await send(harness.afterTool, harness.probe(harness.afterTool, probe));
  return { file, durationMs, snapshot: await snapshotOf(session, said, environment) };
}

type Send = (event: string, payload: unknown) => Promise<string>;

async function snapshotOf(
  session: string,
  said: string,
  environment: Environment,
): Promise<SnapshotId> {
  await using workspace = await openWorkspace({ environment, readOnly: 'yes' });
  const [call] = workspace.listCalls({ session, limit: 1 });
  if (call !== undefined && call.snapshot !== null) return call.snapshot;
  throw new GhostsnapError('CAPTURE_FAILED', 'The hook ran, and no snapshot came of it.', {
    hint: said.trim() === '' ? 'See "ghostsnap daemon logs".' : `It answered: ${said.trim()}`,
  });
}

function sendByFile(harness: Harness, file: string, environment: Environment): Send {
  const config: unknown = parse(fs.readFileSync(file, 'utf8'));
  return async (event, payload) => {
    const entry = ourEntry(config, event);
    const body = JSON.stringify(payload);
    const url = findText(entry, 'url');
    if (url !== null) return await post(url, findText(entry, 'Authorization') ?? '', body);
    const command = findText(entry, 'command') ?? findText(entry, 'bash');
    if (command !== null) return await runCommand(command, body, environment);
    throw new GhostsnapError('BAD_CONFIG', `${harness.title} has no hook for ${event} in ${file}`, {
      hint: `Connect it again with "ghostsnap hook install ${harness.name}".`,
    });
  };
}

function ourEntry(config: unknown, event: string): unknown {
  const { hooks } = config as { hooks?: Record<string, unknown> };
  const list = hooks?.[event];
  return Array.isArray(list) ? list.find(isOurEntry) : undefined;
}

/** The first text under this key, however deep the harness wants it. */
function findText(value: unknown, key: string): string | null {
  if (typeof value !== 'object' || value === null) return null;
  for (const [name, field] of Object.entries(value)) {
    if (name === key && typeof field === 'string') return field;
    const found = findText(field, key);
    if (found !== null) return found;
  }
  return null;
}

async function post(url: string, authorization: string, body: string): Promise<string> {
  const response = await fetch(url, { method: 'POST', headers: { authorization }, body });
  if (response.ok) return await response.text();
  throw new GhostsnapError('IO', `The daemon answered ${response.status} at ${url}`, {
    hint: 'See "ghostsnap daemon status", and connect the harness again.',
  });
}

function runCommand(command: string, body: string, { cwd, env }: Environment): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn('/bin/sh', ['-c', command], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  child.once('error', reject);
  child.once('close', () => resolve(said));
  // A command that ends without reading its input is told by what it said.
  child.stdin.on('error', () => {});
  child.stdin.end(body);
  return promise;
}

interface Plugin {
  readonly 'tool.execute.before': (input: unknown, output: unknown) => Promise<void>;
  readonly 'tool.execute.after': (input: unknown, output: unknown) => Promise<void>;
}

async function pluginOf(file: string): Promise<Send> {
  const module = (await import(pathToFileURL(file).href)) as {
    Ghostsnap(context: { directory: string }): Promise<Plugin>;
  };
  return async (event, payload) => {
    const { tool, session, call, args, directory } = payload as Record<string, string>;
    const plugin = await module.Ghostsnap({ directory: String(directory) });
    const input = { tool, sessionID: session, callID: call };
    if (event === 'tool.execute.before') await plugin['tool.execute.before'](input, { args });
    else await plugin['tool.execute.after'](input, {});
    return '';
  };
}
