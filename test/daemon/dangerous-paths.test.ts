import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GhostsnapError } from '../../src/core/errors.ts';
import { checkWorkspacePath } from '../../src/daemon/dangerous-paths.ts';

const HOME = { homeDir: '/home/ada', ghostsnapHome: '/home/ada/.local/share/ghostsnap' };

function check(path: string, force: 'yes' | 'no' = 'no', home = HOME): string {
  try {
    checkWorkspacePath({ path, force, ...home });
    return 'allowed';
  } catch (error) {
    const { code, data } = error as GhostsnapError;
    return code === 'DANGEROUS_WORKSPACE' ? String(data.reason) : code;
  }
}

describe('checkWorkspacePath()', () => {
  it('allows the directories of projects', () => {
    const projects = [
      ...['/home/ada/project', '/home/ada/.dotfiles', '/home/ada/.config/nvim', '/srv/app'],
      ...['/var/www', '/var/www/site', '/opt/app', '/tmp/try', '/workspaces/one', '/app'],
      ...['/usr/src/linux', '/usr/local/src/tool', '/run/media/ada/disk', '/mnt/data'],
      ...['/home/ada/.claudette', '/usrlocal', '/var/lib/jenkins/workspace/one', '/root/app'],
    ];
    for (const path of projects) expect(check(path), path).toBe('allowed');
  });

  it('refuses the home directory, what holds it, and other homes', () => {
    expect(check('/home/ada')).toBe('your home directory');
    expect(check('/home')).toBe('a system directory');
    expect(check('/')).toBe('a system directory');
    expect(check('/home/grace')).toBe("somebody's home directory");
    const deep = { ...HOME, homeDir: '/data/people/ada' };
    expect(check('/data/people', 'no', deep)).toBe('a directory that holds your home directory');
    expect(check('/data', 'no', deep)).toBe('a directory that holds your home directory');
  });

  it('refuses system directories', () => {
    const system = [
      ...['/usr', '/usr/lib/node_modules/x', '/etc', '/etc/nginx', '/var', '/boot', '/proc/self'],
      ...['/sys', '/dev/shm', '/lib', '/lib64', '/bin', '/sbin', '/opt', '/root', '/tmp', '/run'],
      ...['/run/user/1000', '/var/lib', '/usr/src', '/media', '/mnt'],
    ];
    for (const path of system) expect(check(path), path).toBe('a system directory');
  });

  it("refuses an agent's state, what is in it and what holds it", () => {
    expect(check('/home/ada/.claude')).toContain('~/.claude');
    expect(check('/home/ada/.codex/sessions')).toContain('~/.codex');
    expect(check('/home/ada/.config')).toContain('holds the state');
    expect(check('/home/ada/.local/share')).toContain('holds the state');
    expect(check('/home/ada/project/.claude')).toBe('allowed');
  });

  it('says that --force exists, and obeys it', () => {
    const refused = (): void => checkWorkspacePath({ path: '/etc', force: 'no', ...HOME });
    expect(refused).toThrow(expect.objectContaining({ hint: expect.stringContaining('--force') }));
    expect(check('/etc', 'yes')).toBe('allowed');
    expect(check('/home/ada/.claude', 'yes')).toBe('allowed');
  });

  it("never allows ghostsnap's own directory, in it or around it", () => {
    for (const force of ['yes', 'no'] as const) {
      expect(check('/home/ada/.local/share/ghostsnap/pools', force)).toBe('POOL_INSIDE_WORKSPACE');
    }
    expect(check('/home/ada', 'yes')).toBe('POOL_INSIDE_WORKSPACE');
    const inside = { ...HOME, ghostsnapHome: '/srv/app/.state' };
    expect(check('/srv/app', 'no', inside)).toBe('POOL_INSIDE_WORKSPACE');
    expect(check('/srv/app2', 'no', inside)).toBe('allowed');
  });

  it('sees through a home directory that is a symlink', () => {
    const base = realpathSync(mkdtempSync(join(tmpdir(), 'ghostsnap-danger-')));
    try {
      mkdirSync(join(base, 'real', 'ada'), { recursive: true });
      symlinkSync(join(base, 'real'), join(base, 'home'));
      const homeDir = join(base, 'home', 'ada');
      const home = { homeDir, ghostsnapHome: join(homeDir, '.local', 'ghostsnap') };
      expect(check(join(base, 'real', 'ada'), 'no', home)).toBe('your home directory');
      expect(check(join(base, 'real', 'ada'), 'yes', home)).toBe('POOL_INSIDE_WORKSPACE');
    } finally {
      rmSync(base, { recursive: true });
    }
  });
});
