/**
 * A client in another language, made of openapi.json by a generator that knows nothing of ghostsnap: Perl's
 * OpenAPI::Client. It begins a call, destroys a file, ends the call and takes the damage back.
 *
 * The file is 3.1 and this generator has only 3.0's schema of such files at hand, and would load the other from the
 * network: it is given one that judges nothing; test/golden/openapi.test.ts judges it. What it makes methods, paths,
 * parameters and checks of is openapi.json as it is.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { ServiceWorld } from './service-world.ts';

const OPENAPI = join(import.meta.dirname, '../../openapi.json');
const PROGRAM = join(import.meta.dirname, 'generated-client.pl');
const SCHEMA_OF_3_1 = 'https://spec.openapis.org/oas/3.1/schema/2021-05-20';

interface Step {
  readonly step: string;
  readonly status: number | null;
  readonly answer: Readonly<Record<string, unknown>>;
}

const DAMAGED_AND_BACK = [
  'create 201',
  'begin 201',
  'end 200',
  'diff 200',
  'rollback 200',
  'unknown 404',
  'refused 400',
  'delete 200',
];

/** A folder in which the generator finds what it would ask the network for. */
function schemaCache(base: string): string {
  const folder = join(base, 'schemas');
  mkdirSync(folder);
  const name = createHash('md5').update(SCHEMA_OF_3_1).digest('hex');
  const $schema = 'http://json-schema.org/draft-07/schema#';
  writeFileSync(join(folder, name), JSON.stringify({ $schema, $id: SCHEMA_OF_3_1 }));
  return folder;
}

it('a generated client in Perl protects a call and takes its damage back', async () => {
  await using world = await ServiceWorld.make();
  const { stdout } = await promisify(execFile)(
    'perl',
    [PROGRAM, OPENAPI, world.socket, world.template],
    { env: { ...process.env, JSON_VALIDATOR_CACHE_PATH: schemaCache(world.base) } },
  );
  const lines = stdout.trim().split('\n');
  const steps = lines.map((line) => JSON.parse(line) as Step);
  const answers = new Map(steps.map(({ step, answer }) => [step, answer]));
  expect(steps.map(({ step, status }) => `${step} ${status}`)).toEqual(DAMAGED_AND_BACK);
  expect(answers.get('diff')?.changes).toContainEqual(
    expect.objectContaining({ path: 'src/a.txt', kind: 'deleted' }),
  );
  expect(answers.get('unknown')).toMatchObject({ code: 'CALL_NOT_FOUND' });
  // Not by the service: the client knows from the file that a tool has a name.
  expect(answers.get('refused')).toMatchObject({ errors: [{ path: '/body/tool' }] });
  // The snapshots are gone, the directory stays, as it was before the call.
  const path = String(answers.get('delete')?.path);
  expect(readFileSync(join(path, 'src/a.txt'), 'utf8')).toBe('template');
});
