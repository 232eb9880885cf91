/**
 * Every prover by its name. Each is loaded only when it is run, so that one that needs a program which
 * is missing keeps no other from running.
 */
import type { Prover } from './prover.ts';

/** In the order they run. */
export const PROVERS: Readonly<Record<string, () => Promise<Prover>>> = {
  concurrency: async () => (await import('./concurrency.ts')).concurrency,
  hostile: async () => (await import('./hostile.ts')).hostile,
  full: async () => (await import('./full.ts')).full,
  leaks: async () => (await import('./leaks.ts')).leaks,
  power: async () => (await import('./power.ts')).power,
  crash: async () => (await import('./crash.ts')).crash,
  model: async () => (await import('./model.ts')).model,
  'nth-call': async () => (await import('./nth-call.ts')).nthCall,
};

export function proverNames(): readonly string[] {
  return Object.keys(PROVERS);
}
