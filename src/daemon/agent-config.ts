/**
 * What the person decided about agents: `agents` in `<config>/config.json`, all of it optional.
 *
 * Plain checks, no schema library: this is read before the first tool call. Every error in the part is
 * listed at once.
 */
import path from 'node:path';
import type { AgentSettings } from '../agent/handle-hook.ts';
import { readTextIfThere } from '../backend/if-there.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { Home } from './home.ts';

export interface AgentConfig extends AgentSettings {
  /**
   * A tool call in a directory that is no workspace: 'ask' tells the person once how to protect it,
   * 'always' makes it one (in a store: nothing moves under the agent), 'never' says nothing.
   */
  readonly autoInit: 'ask' | 'always' | 'never';
  /** 'off': every hook opens the workspace by itself; slower, and nothing stays in memory. */
  readonly daemon: 'on' | 'off';
}

const CHOICES = {
  onSnapshotFailure: ['block', 'warn'],
  redaction: ['on', 'off'],
  autoInit: ['ask', 'always', 'never'],
  daemon: ['on', 'off'],
} as const satisfies { readonly [K in keyof AgentConfig]: readonly AgentConfig[K][] };

const DEFAULTS: AgentConfig = {
  onSnapshotFailure: 'block',
  redaction: 'on',
  autoInit: 'ask',
  daemon: 'on',
};

/** @throws GhostsnapError BAD_CONFIG */
export function loadAgentConfig(home: Home): AgentConfig {
  const file = path.join(home.config, 'config.json');
  const given = agentsPart(file);
  const errors: string[] = [];
  const config: Record<string, string> = { ...DEFAULTS };
  for (const [key, value] of Object.entries(given)) {
    const choices: readonly string[] | undefined = CHOICES[key as keyof AgentConfig];
    if (choices === undefined) errors.push(`agents.${key} is not known`);
    else if (typeof value === 'string' && choices.includes(value)) config[key] = value;
    else errors.push(`agents.${key} must be one of ${choices.join(', ')}`);
  }
  if (errors.length > 0) throw badConfig(file, errors);
  return config as unknown as AgentConfig;
}

function agentsPart(file: string): Record<string, unknown> {
  const text = readTextIfThere(file, 'BAD_CONFIG');
  if (text === null) return {};
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw badConfig(file, [error instanceof Error ? error.message : String(error)]);
  }
  const agents = isFields(config) ? (config.agents ?? {}) : {};
  if (!isFields(agents)) throw badConfig(file, ['agents must be an object']);
  return agents;
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function badConfig(file: string, errors: readonly string[]): GhostsnapError {
  return new GhostsnapError(
    'BAD_CONFIG',
    `The configuration ${file} cannot be used: ${errors.join('; ')}.`,
    {
      hint: 'Correct the file, or move it aside to use the defaults.',
      data: { file, errors: [...errors] },
    },
  );
}
