/**
 * What can be said of a harness's trust in hooks, and what the question is made of.
 */
import type { InstallPlace, InstallScope } from './installer.ts';

export interface HookTrust {
  readonly state: 'enabled' | 'disabled' | 'untrusted';
  /** What stands in the way and what to do, one sentence; null when nothing does. */
  readonly why: string | null;
}

export interface TrustQuestion {
  readonly place: InstallPlace;
  readonly scope: InstallScope;
  /** The file that holds our hooks. */
  readonly file: string;
  /** The text of a file; null: there is none. */
  readonly read: (file: string) => string | null;
}

export const ENABLED: HookTrust = { state: 'enabled', why: null };

export function disabled(what: string): HookTrust {
  return { state: 'disabled', why: `It runs no hooks: ${what}.` };
}

export function untrusted(why: string): HookTrust {
  return { state: 'untrusted', why };
}
