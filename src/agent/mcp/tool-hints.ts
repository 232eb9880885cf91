/**
 * Which tools a server has declared as read-only, learnt from its own `tools/list`.
 *
 * The declaration is the server's word: policy says whether it is believed. A tool is read-only only
 * while the newest list that names it says so; a changed list forgets everything until it is asked for
 * again, and whatever cannot be read teaches nothing.
 */

export class ToolHints {
  readonly #readOnly = new Map<string, boolean>();

  isReadOnly(tool: string | null): boolean {
    return tool !== null && this.#readOnly.get(tool) === true;
  }

  forget(): void {
    this.#readOnly.clear();
  }

  /** Learns from the text of a response, or of a batch of them. */
  learn(text: string): void {
    const page = new Map<string, boolean>();
    for (const tool of toolsIn(parseOrNull(text))) {
      const { name } = tool;
      if (typeof name !== 'string') continue;
      // Two tools of one name: the call may reach either.
      page.set(name, saysReadOnly(tool) && page.get(name) !== false);
    }
    for (const [name, isReadOnly] of page) this.#readOnly.set(name, isReadOnly);
  }
}

type Fields = Readonly<Record<string, unknown>>;

function* toolsIn(value: unknown): Generator<Fields> {
  const messages: readonly unknown[] = Array.isArray(value) ? value : [value];
  for (const message of messages) {
    const tools = isFields(message) && isFields(message.result) ? message.result.tools : null;
    if (!Array.isArray(tools)) continue;
    for (const tool of tools) if (isFields(tool)) yield tool;
  }
}

function saysReadOnly(tool: Fields): boolean {
  return isFields(tool.annotations) && tool.annotations.readOnlyHint === true;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No list is learnt from it: every tool of it gets its snapshot.
    return null;
  }
}
