/**
 * Text from elsewhere (labels, messages, file contents), safe to show on a terminal.
 *
 * A control character could move the cursor or recolour what is read as ours, so each becomes a
 * visible `\xHH`. Paths have `displayPath` for this; what goes into JSON is escaped by JSON itself.
 */

/** One line: tabs, newlines and every other control character escaped. */
export function printableLine(text: string): string {
  return escapeControls(text, '');
}

/** Several lines: newlines and tabs stay. */
export function printableLines(text: string): string {
  return escapeControls(text, '\n\t');
}

function escapeControls(text: string, kept: string): string {
  let shown = '';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
    if (!isControl || kept.includes(character)) shown += character;
    else shown += `\\x${code.toString(16).padStart(2, '0')}`;
  }
  return shown;
}
