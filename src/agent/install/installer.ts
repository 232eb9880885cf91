/**
 * Connecting a harness: which file of its configuration, and how the text of that file changes.
 *
 * Pure: text in, text out; reading, showing, asking and writing are the caller's. Connecting a text that
 * is connected gives the same text; disconnecting takes out what connecting put in and nothing else.
 */
import type { HarnessName } from '../harness/harness.ts';

export type InstallScope = 'user' | 'project';

/** Where things are on this machine. */
export interface InstallPlace {
  /** The person's home directory. */
  readonly homeDir: string;
  /** The project's root. */
  readonly projectDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How a hook reaches ghostsnap. */
export interface HookConnection {
  /** The command line that reports an event, payload on standard input. */
  command(harness: HarnessName, event: string): string;
  /**
   * What a command that could not do its work means. 'pass': others use the same file, and may not have ghostsnap.
   */
  readonly onFailure: 'block' | 'pass';
  /** For harnesses that can send HTTP, when it was asked for. */
  readonly http: { readonly port: number; readonly token: string } | null;
  /** For a plugin inside the harness's process. */
  readonly socket: string;
  readonly node: string;
  readonly program: string;
  /** In our own directory for as long as that is there. */
  readonly script: string;
  /** Where the program finds our files, when it was told so in its environment. */
  readonly ghostsnapHome: string | null;
}

export interface HarnessInstaller {
  readonly name: HarnessName;
  /** Programs, and directories below the home, that say that the harness is used here. */
  readonly signs: { readonly programs: readonly string[]; readonly directories: readonly string[] };
  file(scope: InstallScope, place: InstallPlace): string;
  /**
   * @param text null: there is no file
   * @throws GhostsnapError BAD_CONFIG when the file is not in the harness's format
   */
  connect(text: string | null, connection: HookConnection, file: string): string;
  /** null: nothing would remain that was not ours. */
  disconnect(text: string, file: string): string | null;
  isConnected(text: string): boolean;
  /** What the person must know or do, a sentence each. */
  readonly notes: readonly string[];
}

/** Beside VS Code's file, which Copilot CLI runs as well. */
export const COPILOT_FILE = 'ghostsnap-copilot.json';

/** In every entry of ours, so that they are found again: the script, the command, or the URL's path. */
export function isOurEntry(entry: unknown): boolean {
  const text = JSON.stringify(entry) ?? '';
  return /ghostsnap-hook\.sh|ghostsnap hook run|127\.0\.0\.1:\d+\/hook\//.test(text);
}
