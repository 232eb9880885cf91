/** What a private authority has issued and revoked: `issued.json` beside its key. */
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { GhostsnapError } from '../../core/errors.ts';
import { writeOver } from './private-files.ts';

const issuedSchema = z.strictObject({
  format: z.literal(1),
  certificates: z.array(
    z.strictObject({
      /** Hexadecimal, lower case. */
      serial: z.string().regex(/^[0-9a-f]{32}$/),
      name: z.string(),
      /** A SPIFFE id, or the names of a server. */
      subject: z.string(),
      notAfter: z.iso.datetime(),
      revokedAt: z.iso.datetime().nullable(),
    }),
  ),
});

export type Issued = z.output<typeof issuedSchema>['certificates'][number];

/** @throws GhostsnapError BAD_CONFIG */
export function readIssued(directory: string): readonly Issued[] {
  const file = path.join(directory, 'issued.json');
  try {
    return issuedSchema.parse(JSON.parse(fs.readFileSync(file, 'utf8'))).certificates;
  } catch (error) {
    throw new GhostsnapError('BAD_CONFIG', `The record ${file} cannot be used.`, {
      hint: 'Without it nothing can be revoked: bring it back, or make a new authority.',
      data: { file },
      cause: error,
    });
  }
}

export function writeIssued(directory: string, certificates: readonly Issued[]): void {
  const text = `${JSON.stringify({ format: 1, certificates }, null, 2)}\n`;
  writeOver(path.join(directory, 'issued.json'), text, 0o600);
}
