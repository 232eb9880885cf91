/** The policy on real workspaces: what is judged, what follows, and that it can be taken back. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BeginCallRequest } from '../../src/engine/call-results.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { type Protected, protect } from '../never/protected-workspace.ts';

const CALL: BeginCallRequest = {
  ...{ session: 's', harness: 'test', tool: 'Bash', key: 'k' },
  input: { command: 'rm -rf src' },
};

let one: Protected;
let workspace: Workspace;

beforeEach(async () => {
  const before = 'mkdir src; for i in 1 2 3 4 5 6; do echo $i > src/$i; done; echo SECRET > .env';
  one = await protect({ kind: 'store', before });
  workspace = await one.open();
});

afterEach(async () => {
  await workspace.close();
  await one[Symbol.asyncDispose]();
});

async function call(script: string, request: Partial<BeginCallRequest> = {}): Promise<string> {
  const { call: id } = await workspace.beginCall({ ...CALL, ...request });
  one.sh(script);
  await workspace.endCall({ call: id, outcome: 'ok' });
  return id;
}

function workspacePolicy(...rules: readonly unknown[]): void {
  writeFileSync(join(one.path, 'ghostsnap.json'), JSON.stringify({ policy: { rules } }));
}

function userPolicy(policy: unknown): void {
  const home = String(one.environment.env.GHOSTSNAP_HOME);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'config.json'), JSON.stringify({ policy }));
}

const ROLLBACK = { rule: 'deleted-files', max: 2, action: 'rollback' };

describe('judgeCall()', () => {
  it('finds nothing in an ordinary call, counts it, and records no judgement', async () => {
    const id = await call('echo x > src/7');
    expect(await workspace.judgeCall(id)).toMatchObject({
      ...{ action: 'none', findings: [], message: null, rolledBack: null },
      changes: { added: 1, deleted: 0 },
    });
    expect(workspace.showCall(id)).toMatchObject({ judged: null, changes: { added: 1 } });
  });

  it('puts the workspace back when the policy demands it, and undo takes that back', async () => {
    workspacePolicy(ROLLBACK);
    const before = one.digest();
    const id = await call('rm -r src');
    const destroyed = one.digest();
    const judgement = await workspace.judgeCall(id);
    expect(one.digest()).toEqual(before);
    expect(judgement).toMatchObject({ action: 'rollback', rolledBack: { kind: 'rollback' } });
    expect(judgement.message).toContain('It deleted 6 files, more than the 2 allowed.');
    expect(workspace.showCall(id).judged).toMatchObject({
      ...{ action: 'rollback', operation: judgement.rolledBack?.operation },
    });
    await workspace.undo();
    expect(one.digest()).toEqual(destroyed);
  });

  it('only says what it would say when it is asked to plan', async () => {
    workspacePolicy(ROLLBACK);
    const id = await call('rm -r src');
    const destroyed = one.digest();
    expect(await workspace.judgeCall(id, { act: 'plan' })).toMatchObject({ action: 'rollback' });
    expect(one.digest()).toEqual(destroyed);
    expect(workspace.showCall(id)).toMatchObject({ judged: null, changes: null });
  });

  it('rolls nothing back while another call runs: its work would go as well', async () => {
    workspacePolicy(ROLLBACK);
    const other = await workspace.beginCall({ ...CALL, key: 'other' });
    const id = await call('rm -r src');
    const destroyed = one.digest();
    const judgement = await workspace.judgeCall(id);
    expect(one.digest()).toEqual(destroyed);
    expect(judgement).toMatchObject({ action: 'rollback', rolledBack: null });
    expect(judgement.message).toContain('other calls ran at the same time');
    expect(other.call).not.toBe(id);
  });

  it('judges by the file as it was before the call: a call cannot excuse itself', async () => {
    workspacePolicy(ROLLBACK);
    const id = await call('rm -r src; echo \'{"policy":{"rules":[]}}\' > ghostsnap.json');
    const { action, findings } = await workspace.judgeCall(id);
    expect(action).toBe('rollback');
    expect(findings.map(({ rule }) => rule)).toContain('protected-paths');
    expect(readFileSync(join(one.path, 'ghostsnap.json'), 'utf8')).toContain('rollback');
  });

  it.each([
    ['is broken', '{"policy":'],
    ['turns a rule off', '{"policy":{"rules":[{"rule":"deleted-share","action":"off"}]}}'],
    ['has an unknown key', '{"policy":{"rules":[],"workspaceFile":"ignore"}}'],
    ['is endless', `"${'x'.repeat(70_000)}"`],
  ])('keeps every other rule when the workspace’s file %s, and says so', async (_, text) => {
    writeFileSync(join(one.path, 'ghostsnap.json'), text);
    const id = await call('rm .env');
    const { action, findings, message } = await workspace.judgeCall(id);
    expect(action).toBe('warn');
    expect(findings.map(({ rule }) => rule)).toEqual(['protected-paths', 'policy-file']);
    expect(message).toContain('ghostsnap.json is not in force');
  });

  it('lets the person loosen what is built in, and ignore the workspace’s file', async () => {
    workspacePolicy(ROLLBACK);
    userPolicy({
      rules: [{ rule: 'protected-paths', action: 'off' }],
      workspaceFile: 'ignore',
    });
    const id = await call('rm .env src/1 src/2 src/3');
    expect(await workspace.judgeCall(id)).toMatchObject({ action: 'none' });
  });

  it('says what is wrong with the person’s configuration, by code', async () => {
    userPolicy({ rules: [{ rule: 'deleted-files', max: -1, action: 'warn' }] });
    const id = await call('rm .env');
    await expect(workspace.judgeCall(id)).rejects.toMatchObject({ code: 'BAD_CONFIG' });
  });

  it('judges a share of the whole tree', async () => {
    workspacePolicy({ rule: 'deleted-share', maxPercent: 50, minFiles: 2, action: 'ask' });
    const first = await call('rm src/1 src/2 src/3');
    expect(await workspace.judgeCall(first)).toMatchObject({ action: 'none' });
    const second = await call('rm src/4 src/5 src/6', { key: 'k2' });
    expect(await workspace.judgeCall(second)).toMatchObject({ action: 'ask' });
  });

  it('judges no call that has not ended, and none that changes nothing', async () => {
    const { call: running } = await workspace.beginCall(CALL);
    await expect(workspace.judgeCall(running)).rejects.toMatchObject({ code: 'WORKSPACE_BUSY' });
    const read = await workspace.beginCall({ ...CALL, key: 'r', readOnly: 'yes' });
    expect(await workspace.judgeCall(read.call)).toMatchObject({ action: 'none', changes: null });
    await expect(workspace.judgeCall('call_x')).rejects.toMatchObject({ code: 'CALL_NOT_FOUND' });
  });

  it('judges a call later from the snapshots, and refuses when they are gone', async () => {
    const id = await call('rm .env');
    const { snapshot } = await workspace.beginCall({ ...CALL, key: 'next' });
    one.sh('rm -r src');
    expect(await workspace.judgeCall(id, { act: 'plan' })).toMatchObject({
      changes: { deleted: 1 },
    });
    await workspace.endCall({ session: 's', key: 'next', outcome: 'ok' });
    await workspace.beginCall({ ...CALL, key: 'third' });
    await workspace.prune({ specs: [snapshot ?? ''] });
    await expect(workspace.judgeCall(id, { act: 'plan' })).rejects.toMatchObject({
      code: 'SNAPSHOT_NOT_FOUND',
    });
  });
});

describe('ghostsnap policy', () => {
  it('check prints the rules in force, and fails for a file that cannot be used', () => {
    workspacePolicy(ROLLBACK);
    const good = one.cli(['policy', 'check', '--json']);
    expect(good.status).toBe(0);
    expect(JSON.parse(good.stdout).rules.at(-1)).toMatchObject({
      ...{ source: 'workspace', rule: { ...ROLLBACK, except: [] } },
    });
    writeFileSync(join(one.beside, 'bad.json'), '{"policy":{"rules":[{"rule":"owner"}]}}');
    const bad = one.cli(['policy', 'check', join(one.beside, 'bad.json')]);
    expect(bad.status).toBe(64);
    expect(bad.stderr).toContain('policy.rules.0.rule');
  });

  it('explain says what it says of the last call, and what the command looked like', async () => {
    workspacePolicy(ROLLBACK);
    await call('rm -r src');
    await workspace.beginCall({ ...CALL, key: 'read', readOnly: 'yes' });
    const { status, stdout } = one.cli(['policy', 'explain']);
    expect(status).toBe(0);
    expect(stdout).toContain('before: rm -r');
    expect(stdout).toContain('It deleted 6 files');
    expect(stdout).toContain('What follows: rollback');
  });
});
