/** Values of the configuration that several parts of it are made of. */

import { CodedError } from "./common/errors.ts";

/** A place to listen at. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Keys of the file in dotted form, each of the type that it must have. */
export type Values = Readonly<Partial<Record<string, unknown>>>;

export const invalid = (key: string, value: unknown, must: string): CodedError =>
  new CodedError("CONFIG_INVALID_VALUE", `${key} = ${JSON.stringify(value)} ${must}`, {
    remedy: "correct it in the configuration file or on the command line",
    details: { key },
  });

/** `HOST:PORT`, `[IPV6]:PORT` or `PORT`. Errors: CONFIG_INVALID_VALUE. */
export function parseAddress(key: string, text: string, defaultHost: string): Address {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):)?([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[2] ?? Number.NaN);
  if (match === null || port > 65_535) {
    throw invalid(key, text, "must be HOST:PORT with a port up to 65535");
  }
  const host = match[1]?.replace(/^\[|\]$/g, "") ?? defaultHost;
  return { host, port };
}

export const parseName = (value: string): string => {
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/.test(value)) {
    throw invalid("name", value, "must be 1 to 63 of A-Z a-z 0-9 . -");
  }
  return value;
};
