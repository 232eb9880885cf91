/**
 * Whether a tool of the MCP server may run: by policy, or because a person said so.
 *
 * Asking goes through the client (elicitation). A client that cannot ask gets a refusal that says what a
 * person can do instead; silence, a dismissed question and a "no" are all a "no".
 */
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  type ClientCapabilities,
  ElicitResultSchema,
  type ServerNotification,
  type ServerRequest,
} from '@modelcontextprotocol/sdk/types.js';
import { GhostsnapError } from '../../core/errors.ts';
import { MCP_ANSWER_WAIT_MS } from '../../core/limits.ts';
import { severityOf, type Verdict } from '../../core/policy/policy-rule.ts';
import type { McpPolicy, McpToolName } from './mcp-policy.ts';

export type ToolExtra = RequestHandlerExtra<ServerRequest, ServerNotification>;

export interface Confirmation {
  readonly tool: McpToolName;
  readonly policy: McpPolicy;
  readonly capabilities: ClientCapabilities | undefined;
  readonly extra: ToolExtra;
  /** The question and what a "yes" leads to; only worked out when it is asked. */
  readonly question: () => Promise<string>;
  /** What the policy has against it: a person decides then, also where the tool is allowed. */
  readonly verdict?: Verdict;
  /** What a person can type to do the same. */
  readonly command: string;
}

/** @throws GhostsnapError NOT_PERMITTED, CONFIRMATION_NEEDED */
export async function assertMayRun(confirmation: Confirmation): Promise<void> {
  const { tool, policy, command } = confirmation;
  const permission = policy.tools[tool];
  if (permission === 'allow' && !wantsPerson(confirmation.verdict)) return;
  if (permission === 'deny') {
    throw new GhostsnapError('NOT_PERMITTED', `The policy denies the tool "${tool}".`, {
      hint: `A person can run "${command}", or change "mcp.tools.${tool}" in the configuration.`,
    });
  }
  if (!canAsk(confirmation.capabilities)) {
    throw new GhostsnapError(
      'CONFIRMATION_NEEDED',
      `The tool "${tool}" needs the confirmation of a person, and this client cannot ask for one.`,
      {
        hint: `Ask the person to run "${command}", or to set "mcp.tools.${tool}" to "allow" in the configuration.`,
      },
    );
  }
  if (await isConfirmed(confirmation)) return;
  throw new GhostsnapError('NOT_PERMITTED', `The person did not confirm the tool "${tool}".`, {
    hint: 'Nothing was changed. Ask what should happen instead.',
  });
}

function wantsPerson(verdict: Verdict | undefined): boolean {
  return verdict !== undefined && severityOf(verdict.action) >= severityOf('ask');
}

// An empty object is how clients before 2025-11-25 say that they show forms.
function canAsk(capabilities: ClientCapabilities | undefined): boolean {
  const elicitation = capabilities?.elicitation;
  if (elicitation === undefined) return false;
  return elicitation.form !== undefined || Object.keys(elicitation).length === 0;
}

async function isConfirmed({ extra, question }: Confirmation): Promise<boolean> {
  const answer = await extra.sendRequest(
    {
      method: 'elicitation/create',
      params: {
        message: await question(),
        requestedSchema: {
          type: 'object',
          properties: { confirm: { type: 'boolean', title: 'Do it', default: false } },
          required: ['confirm'],
        },
      },
    },
    ElicitResultSchema,
    { signal: extra.signal, timeout: MCP_ANSWER_WAIT_MS },
  );
  return answer.action === 'accept' && answer.content?.confirm === true;
}
