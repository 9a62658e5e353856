/** Content that tells which write it is of and where it belongs. */

/** `[offset, offset + length)` of the content numbered `id`; bytes depend on id and position. */
export const fillPattern = (id: number, offset: number, length: number): Uint8Array => {
  const first = offset >>> 2;
  const words = new Uint32Array(((offset + length + 3) >>> 2) - first);
  const salt = Math.imul(id, 0x9e37_79b1) ^ 0x5bd1_e995;
  for (let index = 0; index < words.length; index++)
    words[index] = Math.imul(first + index, 0x85eb_ca6b) ^ salt;
  const from = offset - first * 4;
  return new Uint8Array(words.buffer, from, length);
};
