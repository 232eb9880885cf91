/** Contents of files over the service: in pieces, of what is inside the workspace, for those who work in it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPERATIONS } from '../../src/api/schema/operations.ts';
import { CONTENT_BYTES_MAX } from '../../src/core/limits.ts';
import { type Answer, ServiceWorld } from './service-world.ts';

const LONG = Buffer.alloc(CONTENT_BYTES_MAX + 1000, 'long ');
const NO_SNAPSHOT = 'ghost_01J9Z3K4M5N6P7Q8R9S0T1V2W3';

let world: ServiceWorld;
let id = '';
let snapshot = '';

beforeAll(async () => {
  world = await ServiceWorld.make();
  const made = await world.workspace();
  id = made.id;
  const at = (name: string): string => join(made.path, name);
  writeFileSync(at('long'), LONG);
  writeFileSync(at('odd\\name'), 'odd');
  writeFileSync(at('changed'), 'before');
  symlinkSync('/etc/passwd', at('link'));
  symlinkSync('/etc', at('etc'));
  mkdirSync(at('folder'));
  execFileSync('mkfifo', [at('fifo')]);
  const taken = await world.ask('POST', `/v1/workspaces/${id}/snapshots`, { body: {} });
  snapshot = OPERATIONS.takeSnapshot.output.parse(taken.body).snapshot.id;
  writeFileSync(at('changed'), 'after');
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

async function ask(tree: string, path: string, more = ''): Promise<Answer> {
  const query = `tree=${tree}&path=${encodeURIComponent(path)}${more}`;
  return await world.ask('GET', `/v1/workspaces/${id}/content?${query}`);
}

async function read(tree: string, path: string, more = '') {
  const { status, body } = await ask(tree, path, more);
  expect(status, JSON.stringify(body)).toBe(200);
  const content = OPERATIONS.readContent.output.parse(body);
  return { ...content, bytes: Buffer.from(content.bytes, 'base64') };
}

describe('the content of a file', () => {
  it('is what it was in a snapshot, and what it is', async () => {
    const was = await read('@', 'changed');
    expect(was).toMatchObject({ tree: snapshot, type: 'file', sizeBytes: 6 });
    expect(was.bytes.toString()).toBe('before');
    expect((await read('live', 'changed')).bytes.toString()).toBe('after');
    expect((await read('@', 'odd\\\\name')).bytes.toString()).toBe('odd');
  });

  it('comes in bounded pieces', async () => {
    const first = await read('@', 'long');
    expect(first.bytes).toHaveLength(CONTENT_BYTES_MAX);
    const rest = await read('@', 'long', `&offset=${CONTENT_BYTES_MAX}`);
    expect(Buffer.concat([first.bytes, rest.bytes]).equals(LONG)).toBe(true);
    expect(first.sizeBytes).toBe(LONG.length);
    expect((await read('@', 'long', '&offset=5&length=4')).bytes.toString()).toBe('long');
    expect((await read('@', 'long', '&offset=99999999')).bytes).toHaveLength(0);
    const beyond = await ask('@', 'long', `&length=${CONTENT_BYTES_MAX + 1}`);
    expect(beyond).toMatchObject({ status: 400, body: { code: 'BAD_ARGUMENT' } });
  });

  it('is where a symlink leads, which nobody follows', async () => {
    const link = await read('live', 'link');
    expect(link).toMatchObject({ type: 'symlink', sizeBytes: 11 });
    expect(link.bytes.toString()).toBe('/etc/passwd');
  });

  it.each([
    ['through a symlink', 'live', 'etc/passwd', 404, 'PATH_NOT_IN_SNAPSHOT'],
    ['outside', 'live', '../../etc/passwd', 400, 'PATH_OUTSIDE'],
    ['somewhere else', '@', '/etc/passwd', 400, 'PATH_OUTSIDE'],
    ['not there', '@', 'folder/none', 404, 'PATH_NOT_IN_SNAPSHOT'],
    ['a directory', '@', 'folder', 400, 'BAD_ARGUMENT'],
    ['the workspace itself', 'live', '.', 400, 'BAD_ARGUMENT'],
    ['a pipe, which would never end', 'live', 'fifo', 400, 'BAD_ARGUMENT'],
    ['of a state that is not kept', NO_SNAPSHOT, 'long', 404, 'SNAPSHOT_NOT_FOUND'],
  ])('is refused %s', async (_what, tree, path, status, code) => {
    expect(await ask(tree, path)).toMatchObject({ status, body: { code } });
  });
});
