/** The panel's only source of words: `t("key", { places })`, checked by type. */

import { EN } from "./en.ts";
import { fill, type ParametersOf } from "./message.ts";

/** Every key of the catalogue. */
export type MessageKey = keyof typeof EN;

type Arguments<K extends MessageKey> = [ParametersOf<(typeof EN)[K]>] extends [never]
  ? []
  : [parameters: Readonly<Record<ParametersOf<(typeof EN)[K]>, string | number>>];

/** The message in the reader's language. */
export function t<K extends MessageKey>(key: K, ...rest: Arguments<K>): string {
  return fill(EN[key], rest[0] ?? {}, "en");
}
