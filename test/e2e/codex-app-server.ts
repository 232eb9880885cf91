/**
 * Codex's own server, which its `/hooks` page asks: what it knows of hooks, and a person's trust in them.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface KnownHook {
  readonly key: string;
  readonly eventName: string;
  readonly currentHash: string;
  readonly trustStatus: string;
}

/** The hooks that it finds from a folder. */
export async function listCodexHooks(
  command: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<readonly KnownHook[]> {
  const result = await ask(command, options, {
    method: 'hooks/list',
    params: { cwds: [options.cwd] },
  });
  const { data } = result as { readonly data: readonly { readonly hooks: readonly KnownHook[] }[] };
  return data.flatMap(({ hooks }) => hooks);
}

/** What a person does in `/hooks`. */
export async function trustCodexHooks(
  command: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
  hooks: readonly KnownHook[],
): Promise<void> {
  const edits = hooks.map(({ key, currentHash }) => ({
    ...{ keyPath: 'hooks.state', mergeStrategy: 'upsert' },
    value: { [key]: { trusted_hash: currentHash } },
  }));
  await ask(command, options, { method: 'config/batchWrite', params: { edits } });
}

interface Message {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: unknown;
}

async function ask(
  [program = '', ...args]: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
  question: { readonly method: string; readonly params: unknown },
): Promise<unknown> {
  const child = spawn(program, [...args, 'app-server'], {
    ...{ cwd, env, stdio: ['pipe', 'pipe', 'ignore'] },
  });
  const closed = Promise.withResolvers<void>();
  child.once('error', closed.reject);
  child.once('close', () => closed.resolve());
  const send = (message: object): void => {
    child.stdin?.write(`${JSON.stringify(message)}\n`);
  };
  const clientInfo = { name: 'ghostsnap-test', version: '1' };
  send({ id: 1, method: 'initialize', params: { clientInfo } });
  let answer: Message | null = null;
  if (child.stdout === null) throw new Error('no output of the app server');
  for await (const line of createInterface(child.stdout)) {
    const message = JSON.parse(line) as Message;
    if (message.id === 1) {
      send({ method: 'initialized' });
      send({ id: 2, ...question });
    }
    if (message.id !== 2) continue;
    answer = message;
    child.stdin?.end();
  }
  await closed.promise;
  if (answer?.result === undefined) throw new Error(`no answer: ${JSON.stringify(answer)}`);
  return answer.result;
}
