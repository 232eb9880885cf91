/**
 * The edge: what is thrown behind it has a code, and an object in front of it costs next to nothing.
 */
import { describe, expect, it } from 'vitest';
import { atEdge, withCodes } from '../../src/backend/failure-edge.ts';

class Disk {
  readonly #name: string;
  readonly arming: { readonly id: string } | null;

  constructor(name: string) {
    this.#name = name;
    this.arming = null;
  }

  get name(): string {
    return this.#name;
  }

  read(path: string): string {
    if (path === '') throw Object.assign(new Error('EIO'), { code: 'EIO', errno: -5 });
    return `${this.#name}:${path}`;
  }

  async write(path: string): Promise<string> {
    return this.read(path);
  }
}

function seen(name: string): Disk {
  return withCodes(new Disk(name), (method, args, { name: disk }) => ({
    what: `"${method}" of ${disk} (${args.length})`,
    path: '/somewhere',
  }));
}

describe('an object behind the edge', () => {
  it('shares its methods with the others of its class, and keeps its own state', async () => {
    const one = seen('one');
    const two = seen('two');
    expect(one.read).toBe(two.read);
    expect([one.name, one.read('a'), two.read('a')]).toEqual(['one', 'one:a', 'two:a']);
    expect(await two.write('b')).toBe('two:b');
    expect(one.arming).toBeNull();
    expect(String(one)).toBe('[object Object]');
  });

  it('gives what is thrown and what is rejected its code, and says of which object and method', async () => {
    const disk = seen('two');
    const failed = { code: 'IO', message: expect.stringContaining('"read" of two (1)') };
    expect(() => disk.read('')).toThrow(expect.objectContaining(failed));
    const refused = { ...failed, message: expect.stringContaining('"write" of two (1)') };
    await expect(disk.write('')).rejects.toEqual(expect.objectContaining(refused));
  });

  it('takes a part of the program that can not be read for an error of the disk', async () => {
    // As Node says it of a package's description that EIO kept it from reading.
    const error = Object.assign(new Error('Cannot read package config /x: i/o error.'), {
      code: 'ERR_INVALID_PACKAGE_CONFIG',
    });
    const failed = atEdge(
      () => ({ what: 'Merging', path: '/x' }),
      () => Promise.reject(error),
    );
    await expect(failed).rejects.toMatchObject({ code: 'IO', cause: error });
  });

  it('shows a part in the place of what the object has', () => {
    const other = { arming: { id: 'x' } };
    const disk = withCodes(new Disk('one'), () => ({ what: '', path: '' }), other);
    expect(disk.arming).toEqual({ id: 'x' });
  });
});
