/**
 * What this process says of itself, and to whom: one for all pools that it opens.
 *
 * A command is over before anybody could ask it; a process that stays installs its telemetry before it
 * opens the first pool. Whoever opens a pool takes what is installed then.
 */
import { NO_TELEMETRY, type Telemetry } from '../engine/ports.ts';

let installed = NO_TELEMETRY;

export function processTelemetry(): Telemetry {
  return installed;
}

/** Dispose to listen no more; pools that are open keep what they have. */
export function installTelemetry(telemetry: Telemetry): Disposable {
  installed = telemetry;
  return {
    [Symbol.dispose]() {
      installed = NO_TELEMETRY;
    },
  };
}
