/**
 * Tries on single files: a catalog of an old format is brought to the present one, a harness's
 * configuration is changed. What must hold: the file is the old one or the new one, whole; the same call
 * ends what was begun; what the person had written in it stays.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { HarnessName } from '../../src/agent/harness/harness.ts';
import { openCatalog } from '../../src/catalog/open-catalog.ts';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import { hookFile } from '../../src/daemon/install-hooks.ts';
import { causeOf, type FreshGround, FreshPlace, type FreshTrial } from './fresh-place.ts';
import { changeHooks, type OperationCall } from './operations.ts';

export const FILE_OPERATIONS = ['migrate', 'hook-install', 'hook-uninstall'] as const;
export type FileOperation = (typeof FILE_OPERATIONS)[number];

const OLD_CATALOG = join(import.meta.dirname, '..', 'catalog', 'fixtures', 'v1.sql');
const HARNESS: HarnessName = 'claude-code';
const SETTINGS = `${JSON.stringify({ model: 'opus', hooks: {} }, null, 2)}\n`;
const EVENTS = 'SELECT workspace, sequence, at_ms, type, body FROM events ORDER BY 1, 2';

export function makeFileTrial(op: FileOperation, ground: FreshGround): FreshTrial {
  const place = new FreshPlace(ground);
  return op === 'migrate' ? new Migration(place) : new Hooks(place, op);
}

abstract class FileTrial implements FreshTrial {
  abstract readonly call: OperationCall;
  protected readonly place: FreshPlace;

  constructor(place: FreshPlace) {
    this.place = place;
  }

  get environment() {
    return this.place.environment;
  }

  get path() {
    return this.place.path;
  }

  async judge(isAcknowledged: boolean): Promise<string[]> {
    try {
      return this.wrong(isAcknowledged);
    } catch (error) {
      return [`can't be brought to an end: ${causeOf(error)}`];
    }
  }

  protected abstract wrong(isAcknowledged: boolean): string[];

  async [Symbol.asyncDispose](): Promise<void> {
    await this.place[Symbol.asyncDispose]();
  }
}

class Migration extends FileTrial {
  readonly call: OperationCall;
  readonly #file: string;
  readonly #events: readonly unknown[];

  constructor(place: FreshPlace) {
    super(place);
    this.#file = join(place.folder, 'catalog.db');
    this.call = { op: 'migrate', file: this.#file };
    using database = new DatabaseSync(this.#file);
    database.exec(readFileSync(OLD_CATALOG, 'utf8'));
    this.#events = database.prepare(EVENTS).all();
  }

  protected wrong(): string[] {
    openCatalog({ file: this.#file })[Symbol.dispose]();
    const wrong = verifyCatalog({ file: this.#file }).map((problem) => JSON.stringify(problem));
    using database = new DatabaseSync(this.#file, { readOnly: true });
    const events = database.prepare(EVENTS).all();
    const isSame = JSON.stringify(events) === JSON.stringify(this.#events);
    return isSame ? wrong : [...wrong, 'the events are others'];
  }
}

class Hooks extends FileTrial {
  readonly call: OperationCall;
  readonly #op: 'hook-install' | 'hook-uninstall';
  readonly #file: string;
  readonly #before: string;
  readonly #after: string;

  constructor(place: FreshPlace, op: 'hook-install' | 'hook-uninstall') {
    super(place);
    this.#op = op;
    this.call = { op, harness: HARNESS };
    this.#file = hookFile(HARNESS, 'user', this.environment);
    mkdirSync(dirname(this.#file), { recursive: true });
    writeFileSync(this.#file, SETTINGS);
    changeHooks('hook-install', HARNESS, this.environment);
    const connected = this.#text();
    const kept = `${this.#file}.before-ghostsnap`;
    if (!existsSync(kept)) throw new Error('What the file held before was not kept beside it.');
    const isInstalled = op === 'hook-uninstall';
    if (isInstalled) changeHooks(op, HARNESS, this.environment);
    else rmSync(kept);
    const plain = isInstalled ? this.#text() : SETTINGS;
    writeFileSync(this.#file, isInstalled ? connected : plain);
    [this.#before, this.#after] = isInstalled ? [connected, plain] : [plain, connected];
  }

  protected wrong(isAcknowledged: boolean): string[] {
    const wrong: string[] = [];
    const text = this.#text();
    if (isAcknowledged && !isSameJson(text, this.#after)) wrong.push('acknowledged, not written');
    if (text !== this.#before && !isSameJson(text, this.#after)) wrong.push(`half-way: ${text}`);
    changeHooks(this.#op, HARNESS, this.environment);
    if (!isSameJson(this.#text(), this.#after)) wrong.push(`in the end: ${this.#text()}`);
    const kept = readFileSync(`${this.#file}.before-ghostsnap`, 'utf8');
    if (kept !== SETTINGS) wrong.push(`what was kept is not what was there: ${kept}`);
    const others = readdirSync(dirname(this.#file)).filter((name) => name.endsWith('.tmp'));
    if (others.length > 0) wrong.push(`left beside it: ${others.join(', ')}`);
    return wrong;
  }

  #text(): string {
    return readFileSync(this.#file, 'utf8');
  }
}

function isSameJson(one: string, other: string): boolean {
  return JSON.stringify(JSON.parse(one)) === JSON.stringify(JSON.parse(other));
}
