/** Where a join token comes from: an argument, a file, or what is written to the verb. */
import { readFileSync } from "node:fs";
import { CodedError } from "../common/errors.ts";

const STDIN = 0;

/**
 * `-`: from the standard input; an argument is read by whoever lists processes.
 * Errors: CLI_BAD_USAGE.
 */
export const tokenFrom = (
  argument: string | undefined,
  file: string | undefined,
  read: (from: string | number) => string = (from) => readFileSync(from, "utf8"),
): string => {
  if ((argument === undefined) === (file === undefined)) {
    throw new CodedError("CLI_BAD_USAGE", "one token is wanted", {
      remedy: "give - and write the token to the verb, or --token-file FILE, or the token itself",
    });
  }
  if (argument !== undefined && argument !== "-") return argument;
  const from = file === undefined || file === "-" ? STDIN : file;
  try {
    return read(from).trim();
  } catch (cause) {
    throw new CodedError("CLI_BAD_USAGE", `no token can be read from ${file ?? "the input"}`, {
      remedy: "write the line that satsuma cluster token printed into a file that can be read",
      cause,
    });
  }
};
