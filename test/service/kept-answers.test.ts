import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Principal } from '../../src/api/principal.ts';
import type { AnswerStore } from '../../src/service/answer-store.ts';
import { KeptAnswers } from '../../src/service/kept-answers.ts';
import { openAnswers } from '../../src/service/sqlite-answers.ts';

const RED: Principal = { id: 'spiffe://a.example/red', tenant: 'red', role: 'agent' };
const BLUE: Principal = { id: 'spiffe://a.example/blue', tenant: 'blue', role: 'agent' };
let directory = '';
let store: AnswerStore;
let answers: KeptAnswers;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ghostsnap-kept-'));
  store = openAnswers({ file: join(directory, 'answers.db'), bootId: 'one' }).answers;
  answers = new KeptAnswers({
    ...{ store, nowMs: () => 0, bounds: () => ({ keepMs: 1000, countMax: 1000 }) },
    onError: (error) => {
      throw error;
    },
    onStep: () => undefined,
  });
});

afterEach(() => {
  store[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

const asked = (input: string, principal = RED) => ({ principal, key: 'k', operation: 'o', input });

it('the same key with another request is refused while the first is under way, and after', async () => {
  const first = Promise.withResolvers<string>();
  const answer = answers.once(asked('a'), () => first.promise);
  const other = () => answers.once(asked('b'), async () => 'b');
  const conflict = { code: 'IDEMPOTENCY_CONFLICT' };
  await expect(other()).rejects.toMatchObject(conflict);
  // A repetition waits for the first one, and the key of somebody else is another.
  const repeated = answers.once(asked('a'), async () => 'twice');
  expect(await answers.once(asked('b', BLUE), async () => 'of blue')).toBe('of blue');
  first.resolve('a');
  expect(await Promise.all([answer, repeated])).toEqual(['a', 'a']);
  await expect(other()).rejects.toMatchObject(conflict);
  expect(await answers.once(asked('a'), async () => 'twice')).toBe('a');
});
