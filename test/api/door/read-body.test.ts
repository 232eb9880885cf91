import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { BodyReader, type BodyReading } from '../../../src/api/door/read-body.ts';

const BOUNDS = { bytesMax: 100, timeoutMs: 60_000 };

/** A reading that is under way, and the end that feeds it. */
function begin(
  reader: BodyReader,
  bounds = BOUNDS,
  tenant = 'blue',
): { readonly body: PassThrough; readonly reading: ReturnType<BodyReader['read']> } {
  const body = new PassThrough();
  return { body, reading: reader.read(body, tenant, bounds) };
}

describe('BodyReader', () => {
  it('gives a body whole, however it was cut', async () => {
    const reader = new BodyReader();
    const { body, reading } = begin(reader);
    for (const byte of '{"a":"ü"}') body.write(byte);
    body.end();
    expect(textOf(await reading)).toBe('{"a":"ü"}');
    const empty = begin(reader);
    empty.body.end();
    expect(textOf(await empty.reading)).toBe('');
    expect(reader.usedBytes).toBe(0);
  });

  it('refuses one that is too long before it has ended, and holds nothing of it', async () => {
    const reader = new BodyReader();
    const { body, reading } = begin(reader);
    body.write(Buffer.alloc(60));
    body.write(Buffer.alloc(41));
    expect(await reading).toMatchObject({ ok: false, status: 413 });
    expect(reader.usedBytes).toBe(0);
    body.end(Buffer.alloc(1000));
    expect(reader.usedBytes).toBe(0);
  });

  it('cuts off a sender that is slow on purpose', async () => {
    const reader = new BodyReader();
    const { body, reading } = begin(reader, { bytesMax: 100, timeoutMs: 1 });
    body.write('{');
    expect(await reading).toMatchObject({ ok: false, status: 408 });
    expect(reader.usedBytes).toBe(0);
  });

  it('holds a bounded number of bytes, whoever sends how many bodies', async () => {
    const reader = new BodyReader({ bytesMax: 1000, tenantBytesMax: 10_000 });
    const all = Array.from({ length: 50 }, () => begin(reader));
    for (const { body } of all) {
      body.write(Buffer.alloc(90));
      expect(reader.usedBytes).toBeLessThanOrEqual(1000);
    }
    for (const { body } of all) body.end();
    const readings = await Promise.all(all.map(({ reading }) => reading));
    const refused = readings.filter((reading) => !reading.ok);
    expect(refused.length).toBe(50 - Math.floor(1000 / 90));
    expect(refused[0]).toMatchObject({ status: 503 });
    expect(reader.usedBytes).toBe(0);
  });

  it('refuses the bodies of one tenant past its share, and nobody else’s', async () => {
    const reader = new BodyReader({ bytesMax: 1000, tenantBytesMax: 250 });
    const open = Array.from({ length: 3 }, () => begin(reader));
    for (const { body } of open) body.write(Buffer.alloc(90));
    expect(await open[2]?.reading).toMatchObject({ ok: false, status: 429 });
    const other = begin(reader, BOUNDS, 'red');
    other.body.end('{}');
    expect(textOf(await other.reading)).toBe('{}');
    for (const { body } of open) body.end();
    await Promise.all(open.map(({ reading }) => reading));
    const again = begin(reader);
    again.body.end(Buffer.alloc(90));
    expect(await again.reading).toMatchObject({ ok: true });
    expect(reader.usedBytes).toBe(0);
  });

  it('lets go of a body whose sender went away', async () => {
    const reader = new BodyReader();
    const gone = begin(reader);
    gone.body.write('{');
    gone.body.destroy();
    await expect(gone.reading).rejects.toThrow('ended before its body');
    const broken = begin(reader);
    broken.body.destroy(new Error('reset'));
    await expect(broken.reading).rejects.toThrow('reset');
    expect(reader.usedBytes).toBe(0);
  });
});

function textOf(reading: BodyReading): string {
  return reading.ok ? reading.bytes.toString() : `refused: ${reading.why}`;
}
