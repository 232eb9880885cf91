/**
 * One tool of the MCP server: told to the client by its card, asked for by the policy, answered in its words.
 *
 * Expected failures come back as results with `isError`, so that the model reads what happened and what to do;
 * what is no expected failure is a defect; the SDK reports it to the client.
 */
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { CallToolResult, ToolAnnotations } from '@modelcontextprotocol/sdk/types.js';
import type { z } from 'zod';
import { GhostsnapError } from '../../core/errors.ts';
import type { Verdict } from '../../core/policy/policy-rule.ts';
import { parseTraceFields, type TraceContext } from '../../core/trace-context.ts';
import type { Workspace } from '../../engine/workspace-api.ts';
import { assertMayRun, type ToolExtra } from './confirmation.ts';
import type { McpPolicy, McpToolName } from './mcp-policy.ts';
import { progressOf } from './progress.ts';

export interface ToolParts {
  readonly server: McpServer;
  readonly workspace: Workspace;
  readonly policy: McpPolicy;
}

/** What a client is told of a tool. */
interface ToolCard<INPUT extends z.ZodObject> {
  readonly title: string;
  readonly description: string;
  readonly inputSchema: INPUT;
  readonly outputSchema: z.ZodObject;
  readonly annotations: ToolAnnotations;
}

/** What the model reads. */
export type Answer = Record<string, unknown>;

/** One call of a tool, for the work that it does. */
interface ToolCall {
  readonly signal: AbortSignal;
  /** For what takes a while. */
  readonly work: ReturnType<typeof workOf>;
  /** Whether the agent may, by the policy; before anything else that it does. */
  readonly ask: (command: string, more?: Question) => Promise<void>;
}

interface Question {
  readonly verdict: Verdict;
  readonly question: () => Promise<string>;
}

/** @param run throws a GhostsnapError for what a model can do something about */
export function addTool<INPUT extends z.ZodObject>(
  parts: ToolParts,
  name: McpToolName,
  card: ToolCard<INPUT>,
  run: (given: z.infer<INPUT>, call: ToolCall) => Promise<Answer>,
): void {
  const { server, policy } = parts;
  const inputSchema: z.ZodObject = card.inputSchema;
  server.registerTool(name, { ...card, inputSchema }, (given, extra) => {
    const ask: ToolCall['ask'] = async (command, more) => {
      const { question = async () => `Let the agent use "${name}"?` } = more ?? {};
      const capabilities = server.server.getClientCapabilities();
      const asked = { tool: name, command, question, capabilities, policy, extra };
      await assertMayRun(more === undefined ? asked : { ...asked, verdict: more.verdict });
    };
    const call: ToolCall = { signal: extra.signal, work: workOf(extra), ask };
    // The SDK has checked it against the schema.
    return answered(() => run(given as z.infer<INPUT>, call));
  });
}

async function answered(work: () => Promise<Answer>): Promise<CallToolResult> {
  try {
    const structuredContent = await work();
    // The text is for clients that are older than structured content.
    const text = JSON.stringify(structuredContent);
    return { content: [{ type: 'text', text }], structuredContent };
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    const { message, code, hint } = error;
    const text = `${message} [${code}]${hint === undefined ? '' : `\n${hint}`}`;
    return { content: [{ type: 'text', text }], isError: true };
  }
}

function workOf(extra: ToolExtra): {
  signal: AbortSignal;
  onProgress: (done: number, total: number | null) => void;
  trace: TraceContext | undefined;
} {
  const { signal, _meta: meta } = extra;
  return { signal, onProgress: progressOf(extra), trace: parseTraceFields(meta) };
}
