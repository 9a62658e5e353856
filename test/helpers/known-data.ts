/** What was written to an array, through whichever board, byte by byte. */
import { randomBytes } from "node:crypto";
import * as assert from "uvu/assert";
import type { NbdClient } from "./nbd-client.ts";

const PIECE = 1024 * 1024;

export class KnownData {
  readonly #content: Buffer;
  readonly #written: { readonly offset: number; readonly length: number }[] = [];

  /** `sizeBytes`: the array is never larger. */
  constructor(sizeBytes: number) {
    this.#content = Buffer.alloc(sizeBytes);
  }

  /** Random bytes, durable when answered, and known from then on. */
  async write(client: NbdClient, offset: number, length: number): Promise<void> {
    const data = randomBytes(length);
    for (let from = 0; from < length; from += PIECE) {
      await client.write(offset + from, data.subarray(from, from + PIECE), true);
    }
    data.copy(this.#content, offset);
    this.#written.push({ offset, length });
  }

  /** The client reads all that was written. */
  async verify(client: NbdClient, who: string): Promise<void> {
    for (const { offset, length } of this.#written) {
      for (let from = offset; from < offset + length; from += PIECE) {
        const expected = this.#content.subarray(from, Math.min(from + PIECE, offset + length));
        const found = await client.read(from, expected.length);
        assert.is(Buffer.compare(expected, found), 0, `${who} reads what is at ${from}`);
      }
    }
  }

  /** A member whose copies lie where the array has them holds all that was written. */
  verifyLeg(data: Buffer, leg: string): void {
    for (const { offset, length } of this.#written) {
      const expected = this.#content.subarray(offset, offset + length);
      const found = data.subarray(offset, offset + length);
      assert.is(Buffer.compare(expected, found), 0, `${leg} holds what is at ${offset}`);
    }
  }
}
