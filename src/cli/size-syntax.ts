/** Sizes and numbers as they are typed on the command line. */

import { CodedError } from "../common/errors.ts";

const UNITS: Readonly<Record<string, number>> = {
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/**
 * Bytes of a size like `64K`, `512M`, `2T` (binary). Without a suffix the unit is `plainUnit`
 * bytes: KiB where mdadm has it so, else 1. Errors: CLI_BAD_USAGE naming the option.
 */
export function parseSize(text: string, option: string, plainUnit: 1 | 1024): number {
  const match = /^([0-9]{1,15})([KMGTkmgt]?)$/.exec(text);
  const unit = match?.[2] === "" ? plainUnit : UNITS[(match?.[2] ?? "").toUpperCase()];
  const bytes = unit === undefined ? Number.NaN : Number(match?.[1]) * unit;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new CodedError("CLI_BAD_USAGE", `${option} ${text} is not a size`, {
    remedy: "write a whole number with K, M, G or T",
  });
}

/** A whole number in `[min, max]`. Errors: CLI_BAD_USAGE naming the option. */
export function parseCount(text: string, option: string, min: number, max: number): number {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new CodedError("CLI_BAD_USAGE", `${option} ${text} is not a number from ${min} to ${max}`, {
    remedy: "see --help",
  });
}
