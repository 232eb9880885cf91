/**
 * Getting ready for the look at a large tree while the rest of the program is still being loaded.
 *
 * A helper thread takes as long to come up as a command takes to load the code of a snapshot: started
 * together, they are ready together. This file is loaded before everything else of the store, so it
 * imports next to nothing.
 */
import { statSync } from 'node:fs';
import type { WorkspaceRef } from '../backend.ts';
import { warmHelpers } from '../side-threads.ts';
import { workspacePaths } from './store-layout.ts';

/** An index of this size stands for so many entries that a second thread pays: see HELPED_ENTRIES_MIN. */
const HELPED_INDEX_BYTES_MIN = 1_200_000;

/** To be called when a snapshot or a comparison of this workspace will probably follow. */
export function expectLook(ref: WorkspaceRef): void {
  const { index } = workspacePaths(ref.poolRoot, ref.id);
  const sizeBytes = statSync(index, { throwIfNoEntry: false })?.size ?? 0;
  if (sizeBytes >= HELPED_INDEX_BYTES_MIN) warmHelpers();
}
