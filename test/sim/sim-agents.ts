/** What the simulated catalog knows about agents: the reference for the tables of the real one. */
import type { Event } from '../../src/core/event.ts';
import type {
  CallQuery,
  CallRow,
  PromptRow,
  SessionRow,
  UnattributedRow,
} from '../../src/engine/ports.ts';

type Draft<T> = { -readonly [K in keyof T]: T[K] };

export class SimAgents {
  readonly #sessions: Draft<SessionRow>[] = [];
  readonly #prompts: PromptRow[] = [];
  readonly #calls: Draft<CallRow>[] = [];
  #unattributed: UnattributedRow[] = [];

  sessions(limit: number): readonly SessionRow[] {
    return newestFirst(this.#sessions, limit);
  }

  session(id: string): SessionRow | null {
    return this.#sessions.find(({ session }) => session === id) ?? null;
  }

  prompts(query: { readonly session?: string; readonly limit?: number }): readonly PromptRow[] {
    const { session } = query;
    const some = this.#prompts.filter((row) => session === undefined || row.session === session);
    return newestFirst(some, query.limit);
  }

  calls(query: CallQuery): readonly CallRow[] {
    const { session, before } = query;
    const some = this.#calls.filter(
      (row) =>
        (session === undefined || row.session === session) &&
        (before === undefined || row.call < before),
    );
    return newestFirst(some, query.limit);
  }

  unattributed(limit: number): readonly UnattributedRow[] {
    return newestFirst(this.#unattributed, limit);
  }

  project(event: Event): void {
    const { atMs } = event;
    switch (event.type) {
      case 'session.started':
        this.#start(event);
        return;
      case 'session.ended': {
        const row = this.#sessions.find(({ session }) => session === event.session);
        if (row !== undefined) row.endedAtMs = atMs;
        return;
      }
      case 'prompt.submitted': {
        const { prompt, session, text } = event;
        this.#prompts.push({ prompt, session, text, atMs });
        return;
      }
      case 'call.begun': {
        const {
          type: _type,
          workspace: _workspace,
          sequence: _sequence,
          atMs: _at,
          ...facts
        } = event;
        this.#calls.push({
          ...facts,
          ...{ begunAtMs: atMs, endedAtMs: null, outcome: null, changes: null, judged: null },
        });
        for (const row of this.#calls) {
          if (event.overlaps.includes(row.call)) row.overlaps = [...row.overlaps, event.call];
        }
        return;
      }
      case 'call.ended':
        this.#change(event.call, { endedAtMs: atMs, outcome: event.outcome });
        return;
      case 'call.measured': {
        const { added, deleted, modified, digest } = event;
        this.#change(event.call, { changes: { added, deleted, modified, digest } });
        return;
      }
      case 'call.judged': {
        const { action, findings, operation } = event;
        this.#change(event.call, { judged: { action, findings, operation } });
        return;
      }
      case 'change.unattributed':
        this.#unattributed = [
          ...this.#unattributed.filter(({ snapshot }) => snapshot !== event.snapshot),
          { snapshot: event.snapshot, since: event.since, atMs },
        ].sort((a, b) => (a.snapshot < b.snapshot ? -1 : 1));
        return;
      default:
    }
  }

  #start(event: Extract<Event, { type: 'session.started' }>): void {
    const at = this.#sessions.findIndex(({ session }) => session === event.session);
    const [known] = at < 0 ? [] : this.#sessions.splice(at, 1);
    const { session, harness, parent } = known ?? event;
    const startedAtMs = event.atMs;
    this.#sessions.push({ session, harness, parent, startedAtMs, endedAtMs: null });
  }

  #change(call: CallRow['call'], fields: Partial<CallRow>): void {
    const row = this.#calls.find((candidate) => candidate.call === call);
    if (row !== undefined) Object.assign(row, fields);
  }
}

function newestFirst<T>(rows: readonly T[], limit = rows.length): readonly T[] {
  return rows.toReversed().slice(0, limit);
}
