/**
 * A digest of everything that was recorded, in order (FNV-1a, two lanes): two runs with the same digest
 * recorded the same bytes.
 */
const PRIME = 0x01000193;

export class SimDigest {
  #low = 0x811c9dc5;
  #high = 0x050c5d1f;

  add(text: string): void {
    for (let i = 0; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      this.#low = Math.imul(this.#low ^ unit, PRIME);
      this.#high = Math.imul(this.#high ^ (unit + i), PRIME);
    }
  }

  get text(): string {
    return [this.#high, this.#low]
      .map((lane) => (lane >>> 0).toString(16).padStart(8, '0'))
      .join('');
  }
}
