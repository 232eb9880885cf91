/**
 * A host whose turns are in the audit log: who asked for them, before they begin, and how they ended.
 *
 * Around the host and not in a handler, so that plain requests and streams of frames are the same to it. A
 * turn that cannot be written down is not begun. That its end cannot be written changes nothing for the
 * one who asked: the turn has happened, and the catalog has its event.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { TraceContext } from '../core/trace-context.ts';
import type { CallContext } from '../service/call-context.ts';
import type { ServiceHost } from '../service/host.ts';
import type { AuditLog, AuditTurn } from './access/audit-log.ts';
import type { Principal } from './principal.ts';
import { OPERATIONS, type OperationName } from './schema/operations.ts';

/** What turns a live tree into another one. */
const TURNS: ReadonlySet<OperationName> = new Set([
  'rollback',
  'restore',
  'undo',
  'redo',
  'undoCall',
]);

type Method = (principal: Principal, input: TurnInput, context: CallContext) => Promise<unknown>;

interface TurnInput {
  readonly workspace: string;
  readonly target?: string;
  readonly call?: string;
}

export function auditTurns(
  host: ServiceHost,
  audit: Pick<AuditLog, 'turn'>,
  onLost: (error: unknown) => void,
): ServiceHost {
  const names = Object.keys(OPERATIONS) as OperationName[];
  const methods = Object.fromEntries(
    names.map((name) => {
      const method = host[name].bind(host) as unknown as Method;
      return [name, TURNS.has(name) ? audited(name, method, { audit, onLost }) : method];
    }),
  );
  return {
    ...(methods as unknown as ServiceHost),
    tenantOf: host.tenantOf.bind(host),
    followEvents: host.followEvents.bind(host),
  };
}

function audited(operation: OperationName, method: Method, log: TurnLog): Method {
  return async (principal, input, context) => {
    const { workspace, target = input.call } = input;
    const about = {
      ...{ principal, operation, workspace, trace: context.trace },
      ...(target === undefined ? {} : { target }),
    };
    return await auditTurn(log, about, () => method(principal, input, context));
  };
}

export interface TurnLog {
  readonly audit: Pick<AuditLog, 'turn'>;
  /** Told what could not be written of a turn that has happened. */
  readonly onLost: (error: unknown) => void;
}

/**
 * A turn between the lines that say who asked and how it ended.
 * @throws GhostsnapError IO when the first of them cannot be written; what the turn throws
 */
export async function auditTurn<T>(
  { audit, onLost }: TurnLog,
  {
    trace,
    ...facts
  }: Omit<AuditTurn, 'event' | 'turn' | 'code' | 'trace' | 'span'> & {
    readonly trace: TraceContext | undefined;
  },
  turn: () => Promise<T>,
): Promise<T> {
  const ids = trace === undefined ? {} : { trace: trace.traceId, span: trace.spanId };
  const about = { ...facts, ...ids };
  await audit.turn({ event: 'turn.asked', ...about });
  const ended = async (end: Pick<AuditTurn, 'event' | 'turn' | 'code'>): Promise<void> => {
    await audit.turn({ ...about, ...end }).catch(onLost);
  };
  let output: T;
  try {
    output = await turn();
  } catch (error) {
    const code = error instanceof GhostsnapError ? error.code : 'BUG';
    await ended({ event: 'turn.failed', code });
    throw error;
  }
  await ended({ event: 'turn.done', ...turnOf(output) });
  return output;
}

/** Of a turn, or of a judgement whose rollback was done. */
function turnOf(output: unknown): { readonly turn?: string } {
  if (typeof output !== 'object' || output === null) return {};
  if ('rolledBack' in output) return turnOf(output.rolledBack);
  return 'operation' in output ? { turn: String(output.operation) } : {};
}
