/**
 * The token that clients of the MCP server over HTTP show: random, in a file that only its owner reads.
 * It stays the same from start to start, so that the configuration of a client stays right.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { isThere } from '../backend/is-there.ts';
import { GhostsnapError } from '../core/errors.ts';
import { type Environment, resolveHome } from './home.ts';

export interface McpToken {
  readonly token: string;
  readonly file: string;
}

const TOKEN_BYTES = 32;
const TOKEN = /^[\w-]{32,256}$/;

/** @throws GhostsnapError BAD_CONFIG for a file that others can read, or that holds no token */
export function loadMcpToken(environment: Environment): McpToken {
  const file = path.join(resolveHome(environment).data, 'mcp-token');
  createOnce(file);
  const { mode } = fs.statSync(file);
  const token = fs.readFileSync(file, 'utf8').trim();
  const isPrivate = (mode & 0o077) === 0;
  if (isPrivate && TOKEN.test(token)) return { token, file };
  const what = isPrivate ? 'holds no token' : 'can be read by others';
  throw new GhostsnapError('BAD_CONFIG', `The token file ${file} ${what}.`, {
    hint: 'Delete it: a new one is made.',
    data: { file },
  });
}

// Linked into place whole: two servers that start at once must not read half a token, or two.
function createOnce(file: string): void {
  if (isThere(file)) return;
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const scratch = `${file}.${process.pid}`;
  fs.writeFileSync(scratch, `${randomBytes(TOKEN_BYTES).toString('base64url')}\n`, { mode: 0o600 });
  try {
    fs.linkSync(scratch, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    fs.unlinkSync(scratch);
  }
}
