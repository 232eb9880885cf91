/**
 * What each verb does about a service: carried out there, or about this machine alone.
 *
 * One table: a verb that is not carried out there says what to do instead when `--server` is given. With
 * `GHOSTSNAP_SERVER` in the environment the same is said by verbs that a person might believe to work there;
 * those that programs start by themselves (hooks, servers), or that have nothing to do with a
 * workspace, do not look at it: an agent must not lose its snapshots to a variable of its shell.
 */
import { GhostsnapError } from '../../core/errors.ts';

interface Here {
  /** What to do in place of asking a service. */
  readonly instead: string;
  readonly environment: 'refused' | 'ignored';
}

const ON_HOST = 'Run it on the host of the service, while the service does not hold the pool.';
const OF_HOST = { instead: ON_HOST, environment: 'refused' } as const;

export const REMOTE_VERBS: Readonly<Record<string, 'there' | Here>> = {
  ...{ snap: 'there', log: 'there', show: 'there', diff: 'there', status: 'there' },
  ...{ rollback: 'there', restore: 'there', undo: 'there', redo: 'there' },
  ...{ 'undo-call': 'there', pin: 'there', unpin: 'there', label: 'there', prune: 'there' },
  init: {
    instead: "Adopt a directory of the service's host by POST /v1/workspaces/adopt.",
    environment: 'refused',
  },
  destroy: {
    instead: 'End a workspace of a service by DELETE /v1/workspaces/ID.',
    environment: 'refused',
  },
  run: {
    instead: 'Take a snapshot there by "ghostsnap snap", then run the command where the tree is.',
    environment: 'refused',
  },
  blame: OF_HOST,
  bisect: OF_HOST,
  policy: OF_HOST,
  recover: OF_HOST,
  pool: OF_HOST,
  ...{ doctor: here('It looks at this machine.'), demo: here('It makes its own workspace.') },
  ...{ completion: here('It is about the shell.'), cert: here('It writes files of this machine.') },
  ...{ serve: here('It is the service.'), daemon: here('It is about this machine.') },
  hook: here('Agents talk to the service by its API: see docs/client.md.'),
  mcp: here('Agents talk to the service by its API: see docs/client.md.'),
  'mcp-proxy': here('Agents talk to the service by its API: see docs/client.md.'),
};

/** @throws GhostsnapError BAD_ARGUMENT when the verb is about this machine and a service was asked for */
export function assertAskable(verb: string, by: '--server' | 'GHOSTSNAP_SERVER'): void {
  const rule = REMOTE_VERBS[verb];
  if (rule === undefined || rule === 'there') return;
  if (by === 'GHOSTSNAP_SERVER' && rule.environment === 'ignored') return;
  const unset = by === 'GHOSTSNAP_SERVER' ? ' For this machine, unset GHOSTSNAP_SERVER.' : '';
  throw new GhostsnapError('BAD_ARGUMENT', `${verb} is not carried out by a service (${by}).`, {
    hint: `${rule.instead}${unset}`,
    data: { verb },
  });
}

function here(instead: string): Here {
  return { instead, environment: 'ignored' };
}
