/**
 * The plugin that runs inside OpenCode: a file of its own, written whole.
 *
 * It asks the daemon over its socket, and starts the program when no daemon answers. A tool that may
 * change things is stopped, by an error with the reason, when neither gave an answer, or when our own files are
 * gone: the program would find no workspace then. The text is plain JavaScript without dependencies, for Bun
 * and for Node.
 */
import type { HookConnection } from './installer.ts';

export function opencodePlugin(connection: HookConnection): string {
  const { socket, node, program, script, ghostsnapHome } = connection;
  const constants = [
    `const SOCKET = ${JSON.stringify(socket)};`,
    `const NODE = ${JSON.stringify(node)};`,
    `const PROGRAM = ${JSON.stringify(program)};`,
    `const SCRIPT = ${JSON.stringify(script)};`,
    `const HOME = ${JSON.stringify(ghostsnapHome)};`,
  ].join('\n');
  return PLUGIN.replace('/* constants */', () => constants);
}

const PLUGIN = `// A snapshot before every tool call.
// Written by "ghostsnap hook install opencode"; "ghostsnap hook uninstall opencode" removes it.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import http from "node:http";

/* constants */

const GONE =
  "ghostsnap's own files were deleted, so no snapshot was taken and this tool was not run: " +
  SCRIPT +
  " is missing. Put them back, or begin anew with \\"ghostsnap init\\" and \\"ghostsnap hook install\\".";

function overSocket(event, body) {
  return new Promise((resolve) => {
    const request = http.request(
      { socketPath: SOCKET, method: "POST", path: "/hook/opencode/" + event, timeout: 120000 },
      (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", () => resolve(null));
        response.on("end", () => {
          resolve(response.statusCode === 200 ? Buffer.concat(chunks).toString() : null);
        });
      },
    );
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(null));
    request.end(body);
  });
}

function byProgram(event, body) {
  return new Promise((resolve) => {
    const child = spawn(NODE, [PROGRAM, "hook", "run", "opencode", event], {
      stdio: ["pipe", "pipe", "ignore"],
      env: HOME === null ? process.env : { ...process.env, GHOSTSNAP_HOME: HOME },
    });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    child.on("error", () => resolve(null));
    child.on("close", (status) => resolve(status === 0 ? text : null));
    child.stdin.on("error", () => resolve(null));
    child.stdin.end(body);
  });
}

async function ask(event, fields) {
  const body = JSON.stringify({ event, ...fields });
  const reply = await overSocket(event, body);
  if (reply === null && !existsSync(SCRIPT)) return { block: GONE };
  const answer = reply ?? (await byProgram(event, body));
  if (answer === null) return { block: "ghostsnap gave no answer, so this tool was not run." };
  return JSON.parse(answer);
}

export const Ghostsnap = async ({ directory }) => {
  const parents = new Map();
  const place = (session) => ({ session, parent: parents.get(session) ?? null, directory });
  return {
    "tool.execute.before": async (input, output) => {
      const { tool, sessionID, callID } = input;
      const call = { tool, call: callID, args: output.args };
      const reply = await ask("tool.execute.before", { ...place(sessionID), ...call });
      if (reply.block) throw new Error(reply.block);
    },
    "tool.execute.after": async ({ sessionID, callID, args }, output) => {
      const exit = output?.metadata?.exit;
      const call = { call: callID, args, failed: typeof exit === "number" && exit !== 0 };
      const reply = await ask("tool.execute.after", { ...place(sessionID), ...call });
      if (reply.feedback && typeof output?.output === "string") {
        output.output += "\\n" + reply.feedback;
      }
    },
    "chat.message": async ({ sessionID }, output) => {
      const texts = (output.parts ?? []).filter((part) => part.type === "text");
      const text = texts.map((part) => part.text).join(" ");
      await ask("chat.message", { ...place(sessionID), text });
    },
    event: async ({ event }) => {
      const { info, part } = event.properties ?? {};
      if (event.type === "session.created" && info) {
        if (info.parentID) parents.set(info.id, info.parentID);
        await ask("session.created", place(info.id));
      }
      if (event.type === "session.deleted" && info) {
        await ask("session.deleted", place(info.id));
        parents.delete(info.id);
      }
      // A tool that failed reaches no "after".
      if (event.type !== "message.part.updated" || part?.type !== "tool") return;
      if (part.state?.status !== "error") return;
      const call = { call: part.callID, args: part.state.input, failed: true };
      await ask("tool.execute.after", { ...place(part.sessionID), ...call });
    },
  };
};
`;
