/** Options of a script: `--help` and words that it does not know print its usage, no stack. */
import { type ParseArgsConfig, parseArgs } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;
type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>["values"];

/** How the process is to end: with the usage. */
export interface UsageEnd {
  readonly code: 0 | 2;
  readonly text: string;
}

/** The values, or how to end instead. */
export const parseOptions = <const T extends Options>(
  usage: string,
  options: T,
  args: readonly string[],
): { readonly values: Values<T> } | UsageEnd => {
  if (args.includes("--help")) return { code: 0, text: `${usage}\n` };
  try {
    return { values: parseArgs({ args: [...args], options }).values as Values<T> };
  } catch (error) {
    const [why = ""] = (error instanceof Error ? error.message : String(error)).split(". ");
    return { code: 2, text: `${why}\n${usage}\n` };
  }
};

/** The same for this process, which ends where there is nothing to do. */
export const scriptOptions = <const T extends Options>(usage: string, options: T): Values<T> => {
  const parsed = parseOptions(usage, options, process.argv.slice(2));
  if ("values" in parsed) return parsed.values;
  (parsed.code === 0 ? process.stdout : process.stderr).write(parsed.text);
  process.exit(parsed.code);
};
