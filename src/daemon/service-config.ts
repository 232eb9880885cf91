/**
 * The service's configuration file: read whole, every error listed, nothing guessed.
 *
 * JSON without comments; `$schema` may point to `schema/service.schema.json`. What depends on the machine
 * (pools, directories, certificates) is checked with the rest, so that a service that has started can serve.
 */
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { GhostsnapError } from '../core/errors.ts';
import type { UserPolicy } from '../core/policy/combine-rules.ts';
import type { Home } from './home.ts';
import { userPolicySchema } from './policy-schema.ts';
import { readPool } from './registry.ts';
import { problemsOfListener } from './serve-tls.ts';
import { parseTelemetryConfig, type TelemetryConfig } from './telemetry-config.ts';

const absolutePath = z
  .string()
  .refine((text) => path.isAbsolute(text), 'an absolute path is needed');

const lane = z.strictObject({
  concurrent: z.int().min(1).max(1024),
  waitingMax: z.int().min(0).max(100_000),
  waitingOfTenantMax: z.int().min(0).max(100_000),
});

const serviceConfigSchema = z.strictObject({
  $schema: z.string().optional(),
  format: z.literal(1),
  socket: absolutePath
    .nullable()
    .default('/run/ghostsnap/service.sock')
    .describe('The unix socket, for this user and root; null: none.'),
  listen: z
    .strictObject({
      host: z.string().min(1).default('0.0.0.0'),
      port: z.int().min(0).max(65_535),
      certificate: absolutePath.describe('PEM, with what lies between it and the authority.'),
      key: absolutePath,
      clientCa: absolutePath.describe('PEM: the authorities whose clients are let in.'),
      crl: absolutePath.optional(),
      access: absolutePath.describe('The access policy: which SPIFFE id is whose.'),
      audit: absolutePath.optional().describe('JSON lines of refusals and rollbacks.'),
    })
    .optional()
    .describe('HTTP/2 with TLS 1.3 and client certificates. Without it the service is local.'),
  pools: z.array(z.string().min(1)).min(1).describe('Pools that the service works in, alone.'),
  adoptBelow: z
    .array(absolutePath)
    .default([])
    .describe('Directories below which workspaces may be adopted; empty: nowhere.'),
  templateTenants: z
    .array(z.string())
    .default(['local'])
    .describe('Tenants whose workspaces everybody may clone.'),
  tenants: z
    .record(
      z.string().min(1),
      z.strictObject({
        workspacesMax: z.int().min(0).max(1_000_000_000).optional(),
        snapshotsMax: z.int().min(0).max(1_000_000_000).optional(),
      }),
    )
    .default({})
    .describe('What a tenant may have at most; "*": each that is not named.'),
  arming: z.enum(['on', 'off']).default('on'),
  policy: userPolicySchema
    .optional()
    .describe(
      'Calls are judged by it when they end, as by "policy" of config.json; ghostsnap.json of a ' +
        'workspace only adds to it. {} is what is built in. Left out: no call is judged.',
    ),
  workspaces: z
    .strictObject({
      openMax: z.int().min(16).max(1_000_000).default(65_536),
      idleMinutes: z.number().min(0.01).max(10_000).default(30),
    })
    .prefault({}),
  idempotency: z
    .strictObject({
      keepMinutes: z.number().min(1).max(10_080).default(30),
      max: z.int().min(1000).max(10_000_000).default(1_000_000),
    })
    .prefault({}),
  lanes: z
    .strictObject({
      call: lane.optional(),
      read: lane.optional(),
      turn: lane.optional(),
      bulk: lane.optional(),
    })
    .prefault({}),
  refusalsPerSecond: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(100)
    .describe('Wrong requests of one identity that are refused at once; others wait up to 2 s.'),
  drainSeconds: z.number().min(0).max(3600).default(30),
  telemetry: z
    .record(z.string(), z.json())
    .optional()
    .describe('Where telemetry goes: as "telemetry" of config.json; off when it is left out.'),
});

export type ServiceConfig = Omit<z.output<typeof serviceConfigSchema>, 'telemetry' | 'policy'> & {
  readonly telemetry: TelemetryConfig;
  readonly policy?: UserPolicy | undefined;
};

/** Bytes of a configuration file that are read. */
const FILE_BYTES_MAX = 262_144;

/** @throws GhostsnapError BAD_CONFIG with every problem in `data.problems` */
export function loadServiceConfig(home: Home, file: string): ServiceConfig {
  const parsed = serviceConfigSchema.safeParse(readJson(file));
  if (!parsed.success) {
    throw wrong(
      file,
      parsed.error.issues.map(
        ({ path: at, message }) => `${at.length === 0 ? '/' : `/${at.join('/')}`}: ${message}`,
      ),
    );
  }
  const problems: string[] = [];
  const telemetry = parseTelemetryConfig(parsed.data.telemetry, problems);
  const policy = parsed.data.policy as UserPolicy | undefined;
  const config = { ...parsed.data, telemetry, policy };
  problems.push(...problemsOnThisMachine(home, config));
  if (problems.length > 0) throw wrong(file, problems);
  return config;
}

function problemsOnThisMachine(home: Home, config: ServiceConfig): string[] {
  const problems: string[] = [];
  for (const [index, name] of config.pools.entries()) {
    if (readPool(home, name) === null) {
      problems.push(`/pools/${index}: there is no pool ${name}; "ghostsnap pool list" shows them`);
    }
  }
  for (const [index, directory] of config.adoptBelow.entries()) {
    if (!isDirectory(directory)) {
      problems.push(`/adoptBelow/${index}: no directory is at ${directory}`);
    }
  }
  if (config.socket === null && config.listen === undefined) {
    problems.push('/socket: without it and without /listen nobody can ask');
  }
  if (config.listen !== undefined) {
    problems.push(...problemsOfListener(config.listen).map((one) => `/listen: ${one}`));
  }
  return problems;
}

function isDirectory(directory: string): boolean {
  return fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true;
}

function readJson(file: string): unknown {
  let text: string;
  try {
    if (fs.statSync(file).size > FILE_BYTES_MAX) throw wrong(file, ['it is too large']);
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof GhostsnapError) throw error;
    throw wrong(file, [error instanceof Error ? error.message : String(error)]);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw wrong(file, [error instanceof Error ? error.message : String(error)]);
  }
}

function wrong(file: string, problems: readonly string[]): GhostsnapError {
  return new GhostsnapError(
    'BAD_CONFIG',
    `The configuration ${file} cannot be used:\n  ${problems.join('\n  ')}\n`,
    {
      hint: 'Correct each of these; docs/service.md describes the file.',
      data: { file, problems },
    },
  );
}

/** The published form, for editors. */
export function serviceConfigText(): string {
  const schema = z.toJSONSchema(serviceConfigSchema, { io: 'input' });
  const title = "The configuration of ghostsnap's service";
  return `${JSON.stringify({ ...schema, title }, null, 2)}\n`;
}
