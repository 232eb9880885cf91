/**
 * What must hold after a harness was made to run the same little story, whichever harness it is: remove a
 * folder, write a file, fail, do two things at once, send a subagent, read.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { CallInfo } from '../../src/engine/call-results.ts';
import { assertSameDigest, digestTree, type TreeDigest } from '../checker/tree-digest.ts';
import type { HookWorld } from '../daemon/hook-world.ts';

/** Things that tools lose: a mode, an ignored file, an empty folder, a symlink. */
export function fillProject(path: string): TreeDigest {
  writeFileSync(join(path, '.env'), 'SECRET=1\n', { mode: 0o600 });
  writeFileSync(join(path, '.gitignore'), '.env\nignored\n');
  mkdirSync(join(path, 'src', 'empty'));
  mkdirSync(join(path, 'ignored'));
  writeFileSync(join(path, 'ignored', 'data.bin'), Buffer.from([0, 1, 2, 255]));
  symlinkSync('src/main.ts', join(path, 'link'));
  return digestTree(path);
}

/** Where two shells meet: opening it waits for the other one. */
export function makeFifo(folder: string, name: string): string {
  const fifo = join(folder, name);
  execFileSync('mkfifo', [fifo]);
  return fifo;
}

/**
 * Shell commands of the story. Paths are absolute: whatever directory a harness takes for the project, nothing but
 * the sample goes. `one` and `two` end only when both are running: they meet at a FIFO outside of the workspace.
 */
export function storyCommands({ base, path }: HookWorld): Record<'remove' | 'one' | 'two', string> {
  const removed = ['src', 'ignored', '.env'].map((name) => join(path, name));
  const fifo = makeFifo(base, 'meeting');
  return {
    remove: `rm -rf ${removed.join(' ')}`,
    one: `cat ${fifo} && echo 1 > ${path}/p1`,
    two: `echo > ${fifo} && echo 2 > ${path}/p2`,
  };
}

export interface Story {
  readonly shell: string;
  readonly write: string;
  readonly read: string;
  /** Input of the calls, as in the script. */
  readonly subagentDid: string;
  readonly hasSubSession: boolean;
  /** 'no': the harness runs tools that may change something one after the other. Default 'yes'. */
  readonly runsAtOnce?: 'yes' | 'no';
  /** In the input of the call that reads. Default: the file that was written. */
  readonly seen?: string;
}

export async function expectStory(
  world: HookWorld,
  before: TreeDigest,
  story: Story,
): Promise<void> {
  const { path } = world;
  expect(existsSync(join(path, 'src'))).toBe(false);
  // The daemon counts when nobody waits: ended, it has nothing left to do.
  await world.program(['daemon', 'stop']);
  const { calls, sessions, prompts } = await world.read((workspace) => ({
    calls: workspace.listCalls().toReversed(),
    sessions: workspace.listSessions(),
    prompts: workspace.listPrompts(),
  }));
  const find = (tool: string, input: string): CallInfo => {
    const call = calls.find((one) => one.tool === tool && one.input.includes(input));
    if (call !== undefined) return call;
    throw new Error(`no call of ${tool} with ${input} in ${JSON.stringify(calls, null, 1)}`);
  };
  const removal = find(story.shell, 'rm -rf');
  const write = find(story.write, 'new.txt');
  const failing = find(story.shell, 'exit 3');
  const [one, two] = [find(story.shell, 'p1'), find(story.shell, 'p2')];
  const inside = find(story.shell, story.subagentDid);
  const read = find(story.read, story.seen ?? 'new.txt');
  for (const call of [removal, write, failing, one, two, inside]) {
    expect(call).toMatchObject({ readOnly: false, unprotected: null });
    expect(call.snapshot).not.toBe(null);
  }
  expect(new Set([removal, write, failing, one, two, inside].map((c) => c.snapshot)).size).toBe(6);
  expect([removal, write, failing, one, two, inside, read].map((c) => c.outcome)).toEqual([
    ...['ok', 'ok', 'failed', 'ok', 'ok', 'ok', 'ok'],
  ]);
  const isAtOnce = story.runsAtOnce !== 'no';
  expect(one.overlaps).toEqual(isAtOnce ? [two.call] : []);
  expect(two.overlaps).toEqual(isAtOnce ? [one.call] : []);
  expect(read.readOnly).toBe(true);
  expect(removal.changes?.deleted).toBeGreaterThanOrEqual(3);
  expect(prompts.map(({ text }) => text).join()).toContain('please tidy');
  expect(removal.prompt).not.toBe(null);
  const main = sessions.find(({ session }) => session === removal.session);
  expect(main?.parent).toBe(null);
  if (story.hasSubSession) {
    const sub = sessions.find(({ session }) => session === inside.session);
    expect(sub?.parent).toBe(main?.session);
  }
  await goBack(world, removal, before);
}

/**
 * What reached the agent's terminal from ghostsnap: the policy's warning about the removed `.env`, in the
 * harness's own channel, and nothing that nobody asked for.
 */
export function expectOneWarning(output: string): void {
  const said = output.split('\n').filter((line) => /ghostsnap(?!-hook-)/.test(line));
  expect(said).toEqual([expect.stringContaining('"ghostsnap undo" takes it back')]);
  expect(output).toContain('It changed what is protected: .env.');
}

/** After the whole session, one command: the tree is what it was, by a comparison of its own. */
async function goBack(world: HookWorld, to: CallInfo, before: TreeDigest): Promise<void> {
  const went = await world.program(['rollback', String(to.snapshot)]);
  expect(went.stderr + went.stdout).not.toBe('');
  expect(went.status).toBe(0);
  assertSameDigest(before, digestTree(world.path), 'the workspace before the session');
}
