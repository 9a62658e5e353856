/**
 * The value block of a lock resource as text. In resources and calls it is base64: a text cannot
 * change under its holder, and it is stored as it is.
 */
import { assert } from "../../common/assert.ts";

/** Bytes of md-cluster's value blocks. Source: drivers/md/md-cluster.c LVB_SIZE. */
export const LVB_BYTES = 64;
/** Most bytes a lockspace may choose, a multiple of 8. Choice: the stored value stays small. */
export const LVB_BYTES_MAX = 256;

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** The text of a value block. */
export const encodeLvb = (bytes: Uint8Array): string => {
  assert(bytes.length <= LVB_BYTES_MAX, `a value block of ${bytes.length} bytes`);
  return btoa(String.fromCharCode(...bytes));
};

/** The bytes of a text for which `isLvbText` holds. */
export const decodeLvb = (text: string): Uint8Array =>
  Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** Whether the text is the one form of a value block of that many bytes. */
export const isLvbText = (text: string, lvbBytes: number): boolean => {
  if (text.length !== Math.ceil(lvbBytes / 3) * 4 || !BASE64.test(text)) return false;
  const letters = atob(text);
  return letters.length === lvbBytes && btoa(letters) === text;
};
