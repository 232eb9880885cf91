/**
 * The home directory of whoever runs this.
 *
 * In a container a process often has a uid that no passwd file knows, and HOME may be unset, empty or
 * relative. None of these is an error by itself: GHOSTSNAP_HOME or the XDG directories may say everything.
 */
import { userInfo } from 'node:os';

/** HOME, else what passwd says; '' when neither names an absolute path. */
export function homeDirectoryOf(env: Readonly<Record<string, string | undefined>>): string {
  const { HOME } = env;
  if (HOME?.startsWith('/') === true) return HOME;
  const known = passwdHome();
  return known.startsWith('/') ? known : '';
}

function passwdHome(): string {
  try {
    return userInfo().homedir;
  } catch (error) {
    // No entry for this uid.
    if (error instanceof Error && 'code' in error && error.code === 'ERR_SYSTEM_ERROR') return '';
    throw error;
  }
}
