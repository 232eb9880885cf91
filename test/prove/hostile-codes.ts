/** What a rollback that somebody works against may say; anything else is a finding. */
const CODES: ReadonlySet<string> = new Set([
  ...['RESTORE_FAILED', 'TREE_CHANGED', 'CAPTURE_FAILED', 'WORKSPACE_BUSY'],
]);

export function maySay(code: string | null): boolean {
  return code === null || CODES.has(code);
}
