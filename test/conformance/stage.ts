/**
 * Where a backend is tried: one workspace, the backend under test, and eyes that see its live tree.
 *
 * A real stage looks at the directory with the independent checker; the memory stage looks at the
 * reference backend's own trees. The suite knows neither: it only sees listings.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend, WorkspaceRef } from '../../src/backend/backend.ts';
import { nextUlid, workspaceId } from '../../src/core/ids.ts';
import { digestTree } from '../checker/tree-digest.ts';
import { MemoryBackend } from '../model/memory-backend.ts';
import { type ModelTree, makeTree } from '../model/model-tree.ts';
import { absorbTimes, type Operation, runOnDirectory, runOnModel } from '../model/operation.ts';
import type { Actor } from '../model/operation-arbitrary.ts';
import { listModel } from '../model/tree-listing.ts';

export interface Stage extends AsyncDisposable {
  readonly ref: WorkspaceRef;
  readonly actor: Actor;
  /** Real stages have files on a disk; inode numbers and foreign names exist there only. */
  readonly kind: 'memory' | 'directory';
  backend(): Backend;
  /** Lets go of the backend and makes another one on the same disk, as a later process would. */
  reopen(): Promise<Backend>;
  /** Runs on the live tree what was run on the model, then the model takes over the times. */
  run(model: ModelTree, operation: Operation): void;
  listLive(): string[];
  listDirectory(path: string): string[];
  /** A fresh, existing, empty directory outside of the workspace. */
  makeScratch(): string;
  /** Takes the workspace's directory away, as a person would. */
  removeLive(): void;
  /** Makes an empty directory in the place of the workspace's. */
  replaceLive(): void;
}

export function newWorkspaceRef(path: string, poolRoot: string): WorkspaceRef {
  return { id: workspaceId(nextUlid('', Date.now(), randomBytes(10))), path, poolRoot };
}

export async function makeMemoryStage(): Promise<Stage> {
  const backend = new MemoryBackend();
  const ref = newWorkspaceRef('/memory/work', '/memory');
  let scratches = 0;
  backend.directories.set(ref.path, makeTree());
  await backend.initWorkspace(ref);
  return {
    ref,
    actor: { canChown: true },
    kind: 'memory',
    backend: () => backend,
    reopen: async () => backend,
    run(model, operation) {
      runOnModel(model, operation);
      runOnModel(backend.live(ref), operation);
    },
    listLive: () => listModel(backend.live(ref)),
    listDirectory: (path) => listModel(backend.directories.get(path) ?? makeTree()),
    makeScratch() {
      scratches += 1;
      const path = `/memory/scratch-${scratches}`;
      backend.directories.set(path, makeTree());
      return path;
    },
    removeLive: () => void backend.directories.delete(ref.path),
    replaceLive: () => void backend.directories.set(ref.path, makeTree()),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

export interface DirectoryStageOptions {
  /** An existing directory on the filesystem that the backend is tried on. */
  readonly base: string;
  /** 'base': the pool is the base itself (btrfs). 'own': a directory for each stage (store). */
  readonly pool: 'base' | 'own';
  readonly makeBackend: () => Backend;
}

export async function makeDirectoryStage(options: DirectoryStageOptions): Promise<Stage> {
  process.umask(0o022);
  const home = mkdtempSync(join(options.base, 'stage-'));
  const path = join(home, 'work');
  const poolRoot = options.pool === 'base' ? options.base : join(home, 'pool');
  mkdirSync(path, { mode: 0o755 });
  mkdirSync(poolRoot, { recursive: true });
  const ref = newWorkspaceRef(path, poolRoot);
  let backend = options.makeBackend();
  await backend.initWorkspace(ref, {});
  return {
    ref,
    actor: { canChown: process.getuid?.() === 0 },
    kind: 'directory',
    backend: () => backend,
    async reopen() {
      await backend[Symbol.asyncDispose]();
      backend = options.makeBackend();
      await backend.recoverWorkspace(ref);
      return backend;
    },
    run(model, operation) {
      runOnModel(model, operation);
      runOnDirectory(path, operation);
      absorbTimes(model, path);
    },
    listLive: () => [...digestTree(path).lines],
    listDirectory: (directory) => [...digestTree(directory).lines],
    makeScratch: () => mkdtempSync(join(home, 'scratch-')),
    removeLive: () => rmSync(path, { recursive: true }),
    replaceLive() {
      rmSync(path, { recursive: true });
      mkdirSync(path);
    },
    async [Symbol.asyncDispose]() {
      await backend[Symbol.asyncDispose]();
      // On a loop image the rest goes away with the image; elsewhere this is all there is.
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** The model of the stage's live tree before anything happened: an empty directory. */
export function emptyModelOf(stage: Stage): ModelTree {
  const model = makeTree();
  if (stage.kind === 'directory') absorbTimes(model, stage.ref.path);
  return model;
}
