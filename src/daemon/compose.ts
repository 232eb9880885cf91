/** The composition root's front: what the command line and the public API are made of. */
export type { Environment } from './home.ts';
export { initWorkspace } from './init-workspace.ts';
export { openWorkspace } from './open-workspace.ts';
export { createPool, destroyPool, listPools, mountPool, poolStatus } from './pools.ts';
export { recoverWorkspace } from './recover-workspace.ts';
export { systemEnvironment } from './system-ports.ts';
