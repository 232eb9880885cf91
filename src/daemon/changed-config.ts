/**
 * What a configuration that was read again changes of the one in force: what takes effect at once, and what
 * only a new start can change.
 *
 * What needs a start keeps its old value in what is in force, so that nothing acts on a socket, a port or a
 * pool that the service does not have. It is named at each reading until there was a start.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ServiceConfig } from './service-config.ts';

export interface ConfigChange {
  readonly inForce: ServiceConfig;
  /** Places in the file whose new values are in force, as JSON pointers. */
  readonly changed: readonly string[];
  /** Places whose new values are not. */
  readonly needRestart: readonly string[];
}

/** Sockets, pools and threads are made once. */
const MADE_AT_START = ['socket', 'pools', 'telemetry'] as const;
const LISTENING_AT_START = ['host', 'port', 'audit'] as const;

export function changedConfig(now: ServiceConfig, read: ServiceConfig): ConfigChange {
  const { socket, pools, telemetry } = now;
  const inForce = { ...read, socket, pools, telemetry, listen: listenInForce(now, read) };
  return {
    inForce,
    changed: differences(now, inForce),
    needRestart: [
      ...MADE_AT_START.filter((key) => !isDeepStrictEqual(now[key], read[key])).map(pointer),
      ...listenAtStart(now, read),
    ],
  };
}

/** The files of a listener may change; that there is one, and where, may not. */
function listenInForce(
  { listen: now }: ServiceConfig,
  { listen: read }: ServiceConfig,
): ServiceConfig['listen'] {
  if (now === undefined || read === undefined) return now;
  return { ...read, host: now.host, port: now.port, audit: now.audit };
}

function listenAtStart(
  { listen: now }: ServiceConfig,
  { listen: read }: ServiceConfig,
): readonly string[] {
  if (now === undefined || read === undefined) return now === read ? [] : ['/listen'];
  return LISTENING_AT_START.filter((key) => now[key] !== read[key]).map((key) => `/listen/${key}`);
}

/** One level below the sections, so that a lane is named and not each of its numbers. */
function differences(now: ServiceConfig, next: ServiceConfig): readonly string[] {
  const keys = Object.keys({ ...now, ...next }) as (keyof ServiceConfig)[];
  return keys.flatMap((key) => {
    const [before, after]: readonly unknown[] = [now[key], next[key]];
    if (isDeepStrictEqual(before, after)) return [];
    if (!isSection(before) || !isSection(after)) return [pointer(key)];
    const names = Object.keys({ ...before, ...after });
    return names
      .filter((name) => !isDeepStrictEqual(before[name], after[name]))
      .map((name) => `/${key}/${name}`);
  });
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function pointer(key: string): string {
  return `/${key}`;
}
