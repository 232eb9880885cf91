/** Who wrote which line, on real workspaces. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { type Protected, protect } from '../never/protected-workspace.ts';

const SESSION = { session: 's1', harness: 'test' };

describe.each(['store', 'btrfs'] as const)('blame() on a %s workspace', (kind) => {
  let one: Protected;
  let workspace: Workspace;
  let calls = 0;

  beforeAll(async () => {
    one = await protect({ kind, before: "printf 'one\\ntwo\\nthree\\n' > text" });
    workspace = await one.open();
  });

  afterAll(async () => {
    await workspace.close();
    await one[Symbol.asyncDispose]();
  });

  async function call(script: string): Promise<string> {
    calls += 1;
    const request = { ...SESSION, tool: `Tool${calls}`, key: `k${calls}` };
    const begun = await workspace.beginCall(request);
    one.sh(script);
    await workspace.endCall({ call: begun.call, outcome: 'ok' });
    return begun.call;
  }

  async function blame(path: string): Promise<readonly (readonly [string, unknown])[]> {
    const { lines, origins } = await workspace.blame(path);
    return lines.map(({ text, origin }) => [
      text,
      origin === null ? 'older' : (origins[origin]?.call ?? origins[origin]?.label),
    ]);
  }

  it('names the call that wrote a line last, through moves, and what is older', async () => {
    await workspace.submitPrompt({ ...SESSION, text: 'make it so' });
    const first = await call('sed -i s/two/TWO/ text; echo four >> text');
    const second = await call('mkdir lib; mv text lib/moved');
    const third = await call('sed -i s/four/FOUR/ lib/moved; echo x > other');
    await workspace.snapshot({ label: 'by hand' });
    one.sh('echo five >> lib/moved');
    expect(await blame('lib/moved')).toEqual([
      ['one', 'older'],
      ['TWO', first],
      ['three', 'older'],
      ['FOUR', third],
      ['five', 'by hand'],
    ]);
    expect(second).not.toBe(first);
    const { origins } = await workspace.blame('lib/moved');
    expect(origins.find((origin) => origin.call === first)).toMatchObject({
      ...{ tool: 'Tool1', session: 's1', prompt: 'make it so' },
    });
    expect(await blame('other')).toEqual([['x', third]]);
    const { stdout, stderr } = one.cli(['blame', 'lib/moved']);
    expect(stdout.split('\n')[3]).toMatch(new RegExp(`^${third} Tool3 .* 4\\) FOUR$`));
    expect(stderr).toContain('make it so');
  });

  it('refuses what has no lines, by code', async () => {
    writeFileSync(join(one.path, 'bin'), Buffer.from([1, 0, 2]));
    writeFileSync(join(one.path, 'huge'), 'x\n'.repeat(600_000));
    const codes = ['bin', 'huge', 'lib', 'none'].map(async (path) => {
      const failure: unknown = await workspace.blame(path).catch((error: unknown) => error);
      return (failure as { code?: string }).code;
    });
    expect(await Promise.all(codes)).toEqual([
      ...['BAD_ARGUMENT', 'LIMIT_EXCEEDED', 'BAD_ARGUMENT', 'PATH_NOT_IN_SNAPSHOT'],
    ]);
  });
});
