/** From an operation's input to the request that carries it, by the table of routes. Pure. */
import type { Route } from '../routes.ts';
import type { WireRequest } from './transport.ts';

/** Fields of the path go there; the rest is the query of a GET or DELETE, and else the JSON body. */
export function requestOf(
  { method, path }: Pick<Route, 'method' | 'path'>,
  input: Readonly<Record<string, unknown>>,
): Pick<WireRequest, 'method' | 'target' | 'body'> {
  const rest = { ...input };
  const target = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = rest[name];
    delete rest[name];
    return encodeURIComponent(String(value));
  });
  if (method !== 'GET' && method !== 'DELETE') {
    return { method, target, body: Object.keys(rest).length === 0 ? null : JSON.stringify(rest) };
  }
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(rest)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null) query.append(name, String(one));
    }
  }
  // "+" for a space is a form's way; in a URL it is a plus.
  const text = query.toString().replaceAll('+', '%20');
  return { method, target: text === '' ? target : `${target}?${text}`, body: null };
}
