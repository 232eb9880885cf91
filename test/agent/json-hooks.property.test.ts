import fc from 'fast-check';
import { parse } from 'jsonc-parser';
import { describe, expect, it } from 'vitest';
import { HARNESS_NAMES } from '../../src/agent/harness/harness.ts';
import type { HookConnection } from '../../src/agent/install/installer.ts';
import { INSTALLERS } from '../../src/agent/install/installers.ts';

const connection: HookConnection = {
  command: (harness, event) => `/bin/sh '/data/hooks/ghostsnap-hook.sh' ${harness} ${event}`,
  onFailure: 'block',
  http: null,
  socket: '/run/ghostsnap/daemon.sock',
  node: '/usr/bin/node',
  program: '/opt/ghostsnap/bin/ghostsnap.js',
  script: '/home/me/.local/share/ghostsnap/hooks/ghostsnap-hook.sh',
  ghostsnapHome: null,
};
const http = { port: 4711, token: 'x'.repeat(43) };

const OTHER = { matcher: 'Bash', hooks: [{ type: 'command', command: 'lint' }] };
const COMMENTED = `{
  // about the model
  "model": "m", // beside it
  "hooks": {
    /* my own */
    "PreToolUse": [
      { "matcher": "Bash", "hooks": [{ "type": "command", "command": "lint" }] } // last
    ]
  },
  "after": [1, 2]
}
`;

const claude = INSTALLERS['claude-code'];

/** A configuration of somebody's, with lists for our events and for others. */
const config = fc.record(
  {
    model: fc.string(),
    // The parser that the test compares with takes this one key for the object's prototype.
    permissions: fc
      .jsonValue({ maxDepth: 2 })
      .filter((v) => !JSON.stringify(v).includes('__proto__')),
    hooks: fc.dictionary(
      fc.constantFrom('PreToolUse', 'PostToolUse', 'Stop', 'SessionStart'),
      fc.array(fc.constant(OTHER), { minLength: 1, maxLength: 3 }),
    ),
  },
  { requiredKeys: [] },
);

describe.each(HARNESS_NAMES)('connecting %s', (name) => {
  const installer = INSTALLERS[name];

  it('makes a file, does nothing when done again, and takes it away again', () => {
    const made = installer.connect(null, connection, '/f');
    expect(installer.isConnected(made)).toBe(true);
    expect(installer.connect(made, connection, '/f')).toBe(made);
    expect(installer.disconnect(made, '/f')).toBe(null);
  });
});

describe('connecting in a file that is there', () => {
  it('keeps everything else, for any configuration, and gives it back', () => {
    fc.assert(
      fc.property(config, fc.constantFrom('  ', '\t', ''), (before, indent) => {
        const text = JSON.stringify(before, null, indent);
        const connected = claude.connect(text, connection, '/f');
        expect(claude.isConnected(connected)).toBe(true);
        expect(claude.connect(connected, connection, '/f')).toBe(connected);
        const back = claude.disconnect(connected, '/f');
        const { hooks = {}, ...rest } = JSON.parse(JSON.stringify(before));
        const isBare = Object.keys(hooks).length === 0;
        if (Object.keys(rest).length === 0 && isBare) expect(back).toBe(null);
        else expect(parse(back ?? '')).toEqual(isBare ? rest : { ...rest, hooks });
      }),
      { numRuns: 200 },
    );
  });

  it('keeps comments and order', () => {
    const connected = claude.connect(COMMENTED, connection, '/f');
    for (const comment of ['// about the model', '// beside it', '/* my own */']) {
      expect(connected).toContain(comment);
    }
    expect(connected.indexOf('"model"')).toBeLessThan(connected.indexOf('"hooks"'));
    expect(connected.indexOf('"lint"')).toBeLessThan(connected.indexOf('ghostsnap-hook.sh'));
    expect(connected.endsWith('"after": [1, 2]\n}\n')).toBe(true);
    const back = claude.disconnect(connected, '/f') ?? '';
    expect(parse(back)).toEqual(parse(COMMENTED));
    expect(back).toContain('// about the model');
  });

  it('replaces what an earlier version put there, and drops events that are no longer used', () => {
    const old = JSON.stringify({
      hooks: {
        Stop: [{ hooks: [{ type: 'command', command: 'ghostsnap hook run claude-code Stop' }] }],
        PreToolUse: [OTHER, { hooks: [{ type: 'command', command: 'ghostsnap hook run x' }] }],
      },
    });
    const { hooks } = JSON.parse(claude.connect(old, connection, '/f'));
    expect(hooks.Stop).toBe(undefined);
    expect(hooks.PreToolUse).toHaveLength(2);
    expect(hooks.PreToolUse[1].hooks[0].command).toContain('ghostsnap-hook.sh');
  });

  it.each([
    ['block', 'block'],
    // Others may have the same file without ghostsnap.
    ['pass', undefined],
  ] as const)('where a command that fails means %s, Claude Code is told %s', (onFailure, told) => {
    const { hooks } = JSON.parse(claude.connect(null, { ...connection, onFailure }, '/f'));
    expect(hooks.PreToolUse[0].hooks[0].onFailure).toBe(told);
    expect(JSON.stringify(hooks.SubagentStop)).not.toContain('onFailure');
  });

  it('refuses a file that is not JSON, or not of the shape, and says where', () => {
    for (const bad of ['{"a": ', '[]', '{"hooks": []}', '{"hooks": {"PreToolUse": {}}}']) {
      expect(() => claude.connect(bad, connection, '/f')).toThrow('/f');
    }
    expect(() => claude.connect('{\n"a": 1\n"b": 2}', connection, '/f')).toThrow('line 3');
  });

  it('sends tool events over HTTP when asked, and the rest by command, which starts the daemon', () => {
    const text = claude.connect(COMMENTED, { ...connection, http }, '/f');
    const { hooks } = parse(text) as {
      hooks: Record<string, { hooks: Record<string, unknown>[] }[]>;
    };
    expect(hooks.PreToolUse?.[1]?.hooks[0]).toMatchObject({
      ...{ type: 'http', url: 'http://127.0.0.1:4711/hook/claude-code/PreToolUse' },
      onFailure: 'block',
    });
    expect(hooks.UserPromptSubmit?.[0]?.hooks[0]).toMatchObject({ type: 'command' });
    expect(parse(claude.disconnect(text, '/f') ?? '')).toEqual(parse(COMMENTED));
  });
});
