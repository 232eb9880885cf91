/**
 * The person's configuration: `<config>/config.json`, all of it optional.
 *
 * Every error in the file is listed at once. It is read on the path before a tool call, so the checks
 * are plain code: no schema library is loaded for five numbers.
 */
import path from 'node:path';
import { readTextIfThere } from '../backend/if-there.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { RetentionPolicy } from '../core/retention/policy.ts';
import type { Home } from './home.ts';

const RETENTION_KEYS = [
  'keepLast',
  'keepWithinMs',
  'hourlyForMs',
  'dailyForMs',
  'weeklyForMs',
] as const satisfies readonly (keyof RetentionPolicy)[];

/** What the file may hold; each section is checked by the part that uses it. */
const SECTIONS = ['retention', 'agents', 'mcp', 'policy', 'telemetry'];

/** One section as it is written, unchecked; undefined when there is none. @throws GhostsnapError BAD_CONFIG */
export function readConfigSection(home: Home, section: string): unknown {
  const file = configFile(home);
  const text = readTextIfThere(file, 'BAD_CONFIG');
  if (text === null) return undefined;
  const errors: string[] = [];
  const config = fieldsOf(parse(file, text), SECTIONS, '', errors);
  if (errors.length > 0) throw badConfig(file, errors);
  return config[section];
}

export function configFile(home: Home): string {
  return path.join(home.config, 'config.json');
}

/** `fallback` with what `config.json` says under "retention". @throws GhostsnapError BAD_CONFIG */
export function loadRetentionPolicy(home: Home, fallback: RetentionPolicy): RetentionPolicy {
  const file = configFile(home);
  const text = readTextIfThere(file, 'BAD_CONFIG');
  if (text === null) return fallback;
  const errors: string[] = [];
  const config = fieldsOf(parse(file, text), SECTIONS, '', errors);
  const given = config.retention ?? {};
  const retention = fieldsOf(given, RETENTION_KEYS, 'retention.', errors);
  const policy: Record<string, number> = {};
  for (const key of RETENTION_KEYS) {
    const value = retention[key];
    if (value === undefined) continue;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) policy[key] = value;
    else errors.push(`retention.${key} must be a whole number that is not negative`);
  }
  if (errors.length > 0) throw badConfig(file, errors);
  return { ...fallback, ...policy };
}

function fieldsOf(
  value: unknown,
  known: readonly string[],
  prefix: string,
  errors: string[],
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    errors.push(`${prefix === '' ? 'the file' : prefix.slice(0, -1)} must be an object`);
    return {};
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) errors.push(`${prefix}${key} is not known`);
  }
  return value as Record<string, unknown>;
}

function parse(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badConfig(file, [error instanceof Error ? error.message : String(error)]);
  }
}

export function badConfig(file: string, errors: readonly string[]): GhostsnapError {
  return new GhostsnapError(
    'BAD_CONFIG',
    `The configuration ${file} cannot be used: ${errors.join('; ')}.`,
    {
      hint: 'Correct the file, or move it aside to use the defaults.',
      data: { file, errors: [...errors] },
    },
  );
}
