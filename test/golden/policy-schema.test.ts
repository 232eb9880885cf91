/** The published schema of ghostsnap.json is the one that files are checked by. */
import { expect, it } from 'vitest';
import { workspacePolicyJsonSchema } from '../../src/daemon/policy-schema.ts';

it('schema/ghostsnap.schema.json is what the program checks by', async () => {
  const text = `${JSON.stringify(workspacePolicyJsonSchema(), null, 2)}\n`;
  await expect(text).toMatchFileSnapshot('../../schema/ghostsnap.schema.json');
});
