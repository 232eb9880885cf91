/**
 * A server that does what the name of the called tool says, raw: `big` answers with many bytes, `exit`
 * and `kill` end it, `half` ends it in the middle of a line, `stderr` writes there. Every byte it gets
 * is appended to the file in its first argument.
 */
import { appendFileSync, writeSync } from 'node:fs';

const [, , record = '/dev/null'] = process.argv;
const BIG_BYTES = Number(process.env.BIG_BYTES ?? 1000);

const TOOLS = [
  { name: 'look', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } },
  { name: 'write', inputSchema: { type: 'object' } },
];

function say(text: string): void {
  process.stdout.write(text);
}

function answer(id: unknown, result: unknown): void {
  say(`${JSON.stringify({ jsonrpc: '2.0', id, result })}\n`);
}

interface Request {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly name?: string; readonly arguments?: { readonly path?: string } };
}

function call(id: unknown, { name, arguments: given }: NonNullable<Request['params']>): void {
  if (name === 'write' && given?.path !== undefined) appendFileSync(given.path, 'written\n');
  else if (name === 'big') {
    const head = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[{"type":"text","text":"`;
    say(head);
    const piece = 'x'.repeat(65_536);
    for (let sent = 0; sent < BIG_BYTES; sent += piece.length) say(piece);
    say('"}]}}\n');
    return;
  } else if (name === 'exit') process.exit(3);
  else if (name === 'kill') process.kill(process.pid, 'SIGKILL');
  else if (name === 'stderr') writeSync(2, 'a line on standard error\n');
  else if (name === 'half') {
    writeSync(1, '{"jsonrpc":"2.0","id":');
    process.exit(0);
  }
  answer(id, { content: [{ type: 'text', text: `did ${name}` }] });
}

function onLine(line: string): void {
  let request: Request;
  try {
    request = JSON.parse(line) as Request;
  } catch {
    // Not a message: said back as it is.
    say(`${line}\n`);
    return;
  }
  if (request.method === 'tools/list') answer(request.id, { tools: TOOLS });
  else if (request.method === 'tools/call') call(request.id, request.params ?? {});
  else say(`${line}\n`);
}

process.on('SIGTERM', () => process.exit(41));
let rest = '';
process.stdin.setEncoding('latin1').on('data', (text: string) => {
  appendFileSync(record, text, 'latin1');
  const lines = (rest + text).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) onLine(line);
});
process.stdin.on('end', () => process.exit(0));
