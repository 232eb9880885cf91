/**
 * Broken payloads of every harness through the door of hooks: whatever comes, the harness gets its reply
 * and what reaches a workspace is within bounds.
 *
 * Made from the golden payloads by breaking each in a few places. The workspace is one that only looks at
 * what it is asked for: nothing behind the door takes part.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { type HookHost, type HookNote, handleHook } from '../../src/agent/handle-hook.ts';
import { HARNESS_NAMES } from '../../src/agent/harness/harness.ts';
import { namedPaths } from '../../src/agent/named-paths.ts';
import { NAME_BYTES_MAX } from '../../src/core/limits.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { mutations } from '../api/door/mutated-json.ts';

export interface FuzzResult {
  readonly seen: number;
  /** Payloads that asked a workspace for something. */
  readonly passed: number;
  /** The first that broke a promise, and how; null: none did. */
  readonly broken: string | null;
}

const GOLDEN = join(import.meta.dirname, '..', 'golden', 'hooks');
const CALL = 'call_00000000000000000000000000';

interface Sample {
  readonly harness: string;
  readonly event: string;
  readonly text: string;
}

export async function fuzzHooks(options: {
  readonly count: number;
  readonly seed: number;
}): Promise<FuzzResult> {
  const door = new WatchedDoor();
  const streams = samples().map((sample, index) => ({
    ...sample,
    texts: mutations([sample.text], options.seed + index),
  }));
  for (let seen = 0; seen < options.count; seen += 1) {
    const stream = streams[seen % streams.length];
    if (stream === undefined) break;
    const { harness, event, texts } = stream;
    const text = texts.next().value ?? '';
    const broken = await door.judge({ harness, event, text });
    if (broken === null) continue;
    const broke = `payload ${seen} of seed ${options.seed}: ${broken}\n${harness} ${event} ${JSON.stringify(text)}`;
    return { seen: seen + 1, passed: door.passed, broken: broke };
  }
  return { seen: options.count, passed: door.passed, broken: null };
}

function samples(): readonly Sample[] {
  return HARNESS_NAMES.flatMap((harness) =>
    readdirSync(join(GOLDEN, harness))
      .sort()
      .map((file) => {
        const golden: unknown = JSON.parse(readFileSync(join(GOLDEN, harness, file), 'utf8'));
        const { event, payload } = golden as { readonly event: string; readonly payload: unknown };
        return { harness, event, text: JSON.stringify(payload) };
      }),
  );
}

class WatchedDoor {
  passed = 0;
  #complaint: string | null = null;
  readonly #host: HookHost;

  constructor() {
    this.#host = {
      settings: { onSnapshotFailure: 'block', redaction: 'on' },
      workspaceAt: async (directory) => {
        if (!isAbsolute(directory) || directory.includes('\0')) this.#complain('directory');
        return { workspace: this.#workspace(), notice: null };
      },
      workspacesBeside: async ({ directory, input }, _why) => {
        const paths = namedPaths(input, { directory, homeDir: '/home/me' });
        if (!paths.every((path) => isAbsolute(path) && !path.includes('\0')))
          this.#complain('path');
        return [];
      },
      patienceEnds: () => Promise.withResolvers<void>().promise,
      endOf: async (file) => {
        if (!isAbsolute(file) || file.includes('\0')) this.#complain('file');
        return '';
      },
      failedLate: () => this.#complain('late'),
      callBegun: () => {},
      callEnded: async () => 'said',
      note: (_: string, __: HookNote) => {},
    };
  }

  /** null: every promise was kept. */
  async judge({ harness, event, text }: Sample): Promise<string | null> {
    this.#complaint = null;
    try {
      const reply = await handleHook({ harness, event, body: Buffer.from(text) }, this.#host);
      if (reply.exitCode !== 0) return `it ended with ${reply.exitCode}`;
      JSON.parse(reply.stdout);
    } catch (error) {
      return `it threw ${String(error)}`;
    }
    return this.#complaint;
  }

  #complain(what: string): void {
    this.#complaint ??= `${what} reached the workspace without being checked`;
  }

  /** Names are short lines of plain text; an absent one is null. */
  #check(names: Readonly<Record<string, unknown>>): void {
    this.passed += 1;
    for (const [field, value] of Object.entries(names)) {
      if (value === null || value === undefined) continue;
      const isPlain = typeof value === 'string' && value !== '' && !/[\p{Cc}\p{Cs}]/u.test(value);
      if (!isPlain || Buffer.byteLength(value) > NAME_BYTES_MAX) this.#complain(field);
    }
  }

  #workspace(): Workspace {
    const watched: Partial<Workspace> = {
      beginCall: async ({ session, parentSession, harness, tool, key }) => {
        this.#check({ session, parentSession, harness, tool, key });
        const begun = { call: CALL, snapshot: null, adopted: false, repeated: false, overlaps: [] };
        return { ...begun, unprotected: null, uncovered: [], durationMs: 0 } as never;
      },
      adviseCall: async () => null,
      endCall: async (request) => {
        if ('key' in request) this.#check({ session: request.session, key: request.key });
        return CALL as never;
      },
      startSession: async ({ session, parentSession }) => {
        this.#check({ session, parentSession });
        return { session } as never;
      },
      endSession: async (session) => this.#check({ session }),
      submitPrompt: async ({ session, parentSession, text }) => {
        this.#check({ session, parentSession });
        if (typeof text !== 'string') this.#complain('text');
        return 'prompt_00000000000000000000000000' as never;
      },
    };
    return watched as Workspace;
  }
}
