/**
 * What a person is told of a turn that failed and was taken back: why, and that nothing of it stayed.
 *
 * The tree layer knows of single paths only and says of these what it must; how the whole ended, only the
 * engine knows.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { TurnKind } from '../core/state.ts';

/** The same error with the end of the story in its hint; an interruption says it itself. */
export function takenBack(failure: unknown, kind: TurnKind): unknown {
  if (!(failure instanceof GhostsnapError) || failure.code === 'INTERRUPTED') return failure;
  const { code, message, data, hint = '' } = failure;
  const end = `The ${kind} was taken back, so the workspace is as it was before it`;
  const next =
    code === 'RESTORE_FAILED'
      ? '; "ghostsnap restore" gives back the paths that can be, by name.'
      : '.';
  return new GhostsnapError(code, message, {
    hint: `${hint} ${end}${next}`.trimStart(),
    data,
    cause: failure,
  });
}
