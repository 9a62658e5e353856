/** A number with its word, as people say it. */

/** `1 disk`, `2 disks`; `many` where that is not the word with an `s`. */
export const countText = (number: number, one: string, many = `${one}s`): string =>
  `${number} ${number === 1 ? one : many}`;
