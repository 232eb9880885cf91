/** From catalog rows about agents to what the public API shows. */
import type { CallInfo, PromptInfo, SessionInfo, UnattributedInfo } from './call-results.ts';
import type { CallRow, PromptRow, SessionRow, UnattributedRow } from './ports.ts';
import { isoTime } from './snapshot-info.ts';

export function sessionInfo({ startedAtMs, endedAtMs, ...rest }: SessionRow): SessionInfo {
  return { ...rest, startedAt: isoTime(startedAtMs), endedAt: timeOrNull(endedAtMs) };
}

export function promptInfo({ atMs, ...rest }: PromptRow): PromptInfo {
  return { ...rest, at: isoTime(atMs) };
}

export function callInfo({ begunAtMs, endedAtMs, ...rest }: CallRow): CallInfo {
  return { ...rest, begunAt: isoTime(begunAtMs), endedAt: timeOrNull(endedAtMs) };
}

export function unattributedInfo({ atMs, ...rest }: UnattributedRow): UnattributedInfo {
  return { ...rest, at: isoTime(atMs) };
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}
