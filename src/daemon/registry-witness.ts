/**
 * That the register of workspaces is still there, for a process that stays.
 *
 * A home that was deleted names no workspace any more: every directory then looks like one that nobody
 * wanted to protect. Whoever saw the register knows better. Made anew by `init`, it counts as there.
 */
import { isThere } from '../backend/is-there.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { Home } from './home.ts';
import { workspacesDirectory } from './registry.ts';

export class RegistryWitness {
  readonly #directory: string;
  #wasThere = false;

  constructor(home: Home) {
    this.#directory = workspacesDirectory(home);
    this.look();
  }

  /** To be called where no workspace was found. @throws GhostsnapError WORKSPACE_NOT_FOUND */
  assertStillThere(): void {
    if (this.look() || !this.#wasThere) return;
    throw new GhostsnapError(
      'WORKSPACE_NOT_FOUND',
      `The register of workspaces was deleted: ${this.#directory}`,
      {
        hint:
          'Put it back, or begin anew with "ghostsnap init" in each project and ' +
          '"ghostsnap hook install".',
        data: { path: this.#directory },
      },
    );
  }

  /** Whether it is there now. */
  look(): boolean {
    const isNow = isThere(this.#directory);
    this.#wasThere ||= isNow;
    return isNow;
  }
}
