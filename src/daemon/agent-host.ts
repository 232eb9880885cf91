/**
 * The host of hooks: gives them workspaces, and does afterwards what nobody waits for.
 *
 * After a call has ended the policy judges it, which counts its change; then the next snapshot is armed. After one has
 * begun: changes that no call made are looked for. At most one such work a workspace is under way; the
 * next tool call stops the counting, never waits for it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type {
  AgentSettings,
  HookHost,
  HookNote,
  HookPlace,
  HookReason,
} from '../agent/handle-hook.ts';
import type { HarnessName } from '../agent/harness/harness.ts';
import { messageOfCall } from '../agent/judged-call.ts';
import { namedPaths } from '../agent/named-paths.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { CallId } from '../core/ids.ts';
import { HOOK_ANSWER_MS } from '../core/limits.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import { type AgentConfig, loadAgentConfig } from './agent-config.ts';
import { autoInit } from './auto-init.ts';
import { EngineCache } from './engine-cache.ts';
import { endOfFile } from './file-end.ts';
import { type Environment, type Home, resolveHome } from './home.ts';
import { HookNotes } from './hook-notes.ts';
import type { WorkspaceRecord } from './registry.ts';
import { RegistryWitness } from './registry-witness.ts';
import { SessionPlaces } from './session-places.ts';
import { workspaceAround } from './workspace-around.ts';

export interface AgentHostOptions {
  readonly environment: Environment;
  /** 'on' for a process that stays. */
  readonly watch: 'on' | 'off';
  readonly onError: (error: unknown) => void;
  /** Default HOOK_ANSWER_MS. */
  readonly answerMs?: number;
}

interface Background {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

export class AgentHost implements HookHost, AsyncDisposable {
  readonly #options: AgentHostOptions;
  readonly #home: Home;
  readonly #engines: EngineCache;
  readonly #notes: HookNotes;
  readonly #registry: RegistryWitness;
  readonly #places: SessionPlaces;
  readonly #background = new Map<string, Background>();
  #config: AgentConfig;
  #configMtimeMs = -1;
  #isOverdue = false;

  /** @throws GhostsnapError BAD_CONFIG */
  constructor(options: AgentHostOptions) {
    this.#options = options;
    this.#home = resolveHome(options.environment);
    this.#engines = new EngineCache(options);
    this.#notes = new HookNotes(this.#home);
    this.#registry = new RegistryWitness(this.#home);
    this.#places = new SessionPlaces(this.#home);
    this.#config = loadAgentConfig(this.#home);
  }

  get settings(): AgentSettings {
    return this.#freshConfig();
  }

  get openWorkspaces(): number {
    return this.#engines.size;
  }

  async workspaceAt(
    directory: string,
    why: HookReason,
  ): Promise<{ readonly workspace: Workspace | null; readonly notice: string | null }> {
    const record = this.#find(directory);
    if (record !== null) {
      if (why === 'write') this.#stopCounting(record.id);
      return { workspace: await this.#engines.open(record), notice: null };
    }
    if (why !== 'write') return { workspace: null, notice: null };
    const config = this.#freshConfig();
    const { environment } = this.#options;
    const { made, notice } = await autoInit({ home: this.#home, environment, config, directory });
    const madeRecord = made === null ? null : this.#find(made);
    if (madeRecord === null) return { workspace: null, notice };
    return { workspace: await this.#engines.open(madeRecord), notice: null };
  }

  async workspacesBeside(
    { session, directory, input }: HookPlace,
    why: 'write' | 'report',
  ): Promise<readonly Workspace[]> {
    const around = workspaceAround(this.#home, directory);
    const { homeDir } = this.#options.environment;
    const named = this.#places.named(namedPaths(input, { directory, homeDir }), around);
    if (why === 'write') {
      for (const { id } of named) this.#stopCounting(id);
      this.#places.remember(session, around === null ? named : [around, ...named]);
      return await this.#openAll(named);
    }
    const been = this.#places.remembered(session).filter(({ id }) => id !== around?.id);
    return await this.#openAll([
      ...new Map([...named, ...been].map((one) => [one.id, one])).values(),
    ]);
  }

  async patienceEnds(signal: AbortSignal): Promise<void> {
    const { answerMs = HOOK_ANSWER_MS } = this.#options;
    try {
      await delay(answerMs, undefined, { signal });
      this.#isOverdue = true;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  endOf(file: string): Promise<string> {
    return endOfFile(file);
  }

  failedLate(error: unknown): void {
    this.#options.onError(error);
  }

  /** A snapshot that no hook waits for any more is still being taken, or was. */
  get isOverdue(): boolean {
    return this.#isOverdue;
  }

  callBegun(workspace: Workspace, call: CallId): void {
    this.#inBackground(workspace, async (signal) => {
      await workspace.findUnattributed(call, { signal });
    });
  }

  /**
   * The agent waits for the verdict: a rollback must be done before its next tool runs, and it must be told.
   * Judging counts the change as well, so that only the next snapshot is left for when nobody waits.
   */
  async callEnded(workspace: Workspace, call: CallId): Promise<string | null> {
    const message = await messageOfCall(workspace, call);
    this.#inBackground(workspace, async (signal) => {
      if (!signal.aborted) await workspace.arm();
    });
    return message;
  }

  note(harness: HarnessName, note: HookNote): void {
    this.#notes.note(harness, note);
  }

  /** Statistics are on disk afterwards, for whoever asks. */
  flushNotes(): void {
    this.#notes.flush();
  }

  /** Waits for what is under way in the background. */
  async settle(): Promise<void> {
    while (this.#background.size > 0) {
      await Promise.all([...this.#background.values()].map(({ done }) => done));
    }
    this.#notes.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { abort } of this.#background.values()) abort.abort();
    await this.settle();
    await this.#engines.close();
  }

  /** @throws GhostsnapError WORKSPACE_NOT_FOUND when nobody can tell any more */
  #find(directory: string): WorkspaceRecord | null {
    const record = workspaceAround(this.#home, directory);
    if (record === null) this.#registry.assertStillThere();
    else this.#registry.look();
    return record;
  }

  #openAll(records: readonly WorkspaceRecord[]): Promise<readonly Workspace[]> {
    return Promise.all(records.map((record) => this.#engines.open(record)));
  }

  /**
   * One after the other for a workspace: looking for changes needs what counting recorded. Begun in a later
   * turn of the loop: in this one the harness's answer has not been written yet.
   */
  #inBackground(workspace: Workspace, work: (signal: AbortSignal) => Promise<void>): void {
    const id = workspace.info.workspace;
    const abort = new AbortController();
    const before = this.#background.get(id)?.done ?? Promise.resolve();
    const done = before
      .then(() => nextTurn())
      .then(() => work(abort.signal))
      .catch((error: unknown) => this.#onBackgroundError(id, error, abort.signal))
      .finally(() => {
        if (this.#background.get(id)?.done === done) this.#background.delete(id);
      });
    this.#background.set(id, { abort, done });
  }

  #stopCounting(id: string): void {
    this.#background.get(id)?.abort.abort();
  }

  #onBackgroundError(id: string, error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#engines.drop(id);
    this.#options.onError(error);
  }

  /** The file is read again when it has changed; one that is wrong is said once, and the last one holds. */
  #freshConfig(): AgentConfig {
    const file = path.join(this.#home.config, 'config.json');
    const mtimeMs = fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (mtimeMs === this.#configMtimeMs) return this.#config;
    this.#configMtimeMs = mtimeMs;
    try {
      this.#config = loadAgentConfig(this.#home);
    } catch (error) {
      if (!(error instanceof GhostsnapError)) throw error;
      this.#options.onError(error);
    }
    return this.#config;
  }
}
