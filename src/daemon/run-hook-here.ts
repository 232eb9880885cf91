/** A hook that is served by its own process, because no daemon answers. Slower, and complete. */
import { handleHook } from '../agent/handle-hook.ts';
import { loadAgentConfig } from './agent-config.ts';
import { AgentHost } from './agent-host.ts';
import { startDaemonUnwatched } from './daemon-client.ts';
import { resolveHome } from './home.ts';
import type { HookRun, RunHookRequest } from './run-hook.ts';

/** @throws GhostsnapError BAD_ARGUMENT, BAD_CONFIG */
export async function runHookHere(
  request: RunHookRequest,
  options: { readonly isDaemonMissing: boolean },
): Promise<HookRun> {
  const { harness, event, body, environment, onReply } = request;
  const isDaemonWanted = loadAgentConfig(resolveHome(environment)).daemon === 'on';
  if (options.isDaemonMissing && isDaemonWanted) startDaemonUnwatched(environment);
  const host = new AgentHost({
    environment,
    watch: 'off',
    // What nobody waits for failed, and nothing may be printed into an agent's terminal: the next call
    // meets the same failure where it is reported.
    onError: () => {},
  });
  let isOverdue = false;
  try {
    onReply((await handleHook({ harness, event, body }, host)).stdout);
    isOverdue = host.isOverdue;
    // With a daemon at hand the counting is its work: it is done with the next call.
    if (!isDaemonWanted && !isOverdue) await host.settle();
    return { isOverdue };
  } finally {
    // Closing waits for what is under way, which is what nobody may wait for then.
    if (!isOverdue) await host[Symbol.asyncDispose]();
  }
}
