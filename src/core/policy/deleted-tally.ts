/**
 * Files that a call deleted, apart from those that it only moved.
 *
 * A change stream shows a move as one path deleted and one added. A move keeps size and time stamp to the
 * nanosecond, so a deleted file whose size and time are found again at an added path counts as moved. It
 * is an estimate for judging, in bounded memory: past the bound files count as deleted.
 */
import { POLICY_MOVES_TRACKED_MAX } from '../limits.ts';
import type { TreeChange } from '../tree-change.ts';
import type { TreeEntry } from '../tree-entry.ts';
import type { PathPattern } from './path-pattern.ts';
import { NamedPaths } from './rule-watch.ts';

export class DeletedTally {
  readonly named = new NamedPaths();
  readonly #except: PathPattern;
  /** By size and time: files deleted (above zero) or added (below zero) without a partner so far. */
  readonly #unpaired = new Map<string, number>();
  #files = 0;
  #bytes = 0;

  constructor(except: PathPattern) {
    this.#except = except;
  }

  get files(): number {
    return this.#files;
  }

  get bytes(): number {
    return this.#bytes;
  }

  see({ kind, path, from, to }: TreeChange): void {
    if (kind === 'added' && to?.type === 'file') this.#pair(to, -1);
    const isGone = kind === 'deleted' || kind === 'type';
    if (!isGone || from?.type !== 'file' || this.#except.matches(path)) return;
    if (kind === 'deleted' && this.#pair(from, 1)) return;
    this.named.add(path);
    this.#files += 1;
    this.#bytes += from.sizeBytes;
  }

  /** True when the file has its partner already; an addition takes a deletion back that was counted. */
  #pair(entry: TreeEntry, side: 1 | -1): boolean {
    const key = `${entry.sizeBytes} ${entry.mtimeNs}`;
    const open = this.#unpaired.get(key) ?? 0;
    if (open === 0 && this.#unpaired.size >= POLICY_MOVES_TRACKED_MAX) return false;
    if (open + side === 0) this.#unpaired.delete(key);
    else this.#unpaired.set(key, open + side);
    const isPaired = open * side < 0;
    if (isPaired && side === -1) {
      this.#files -= 1;
      this.#bytes -= entry.sizeBytes;
    }
    return isPaired;
  }
}
