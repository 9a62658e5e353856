/**
 * Structured logging: one JSON object per line, one stable event name per kind of line, ids instead
 * of prose. `Logger` is the port that everything takes; `ndjsonLogger` implements it over a given
 * line writer and clock, so this file touches neither stderr nor time.
 */

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Facts of a line; keys in snake_case. An Error under `error` is written with code and stack. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where components log. pino's logger has the same shape. */
export interface Logger {
  debug(fields: LogFields, event: string): void;
  info(fields: LogFields, event: string): void;
  warn(fields: LogFields, event: string): void;
  error(fields: LogFields, event: string): void;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

export interface NdjsonOptions {
  /** Takes one line with its line feed; it must not throw. */
  readonly write: (line: string) => void;
  /** Wall time in milliseconds since the epoch. */
  readonly wallTime: () => number;
  /** Lines below this level are dropped. */
  readonly level: LogLevel;
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A Logger that writes `{"time", "level", "event", …fields}` lines. */
export function ndjsonLogger(options: NdjsonOptions, base: LogFields = {}): Logger {
  const log = (level: LogLevel, fields: LogFields, event: string): void => {
    if (RANK[level] < RANK[options.level]) return;
    const time = new Date(options.wallTime()).toISOString();
    options.write(`${stringify({ time, level, event, ...base, ...fields })}\n`);
  };
  return {
    debug: (fields, event) => log("debug", fields, event),
    info: (fields, event) => log("info", fields, event),
    warn: (fields, event) => log("warn", fields, event),
    error: (fields, event) => log("error", fields, event),
    child: (fields) => ndjsonLogger(options, { ...base, ...fields }),
  };
}

/** A Logger that drops everything. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

/** JSON of any value: bigint as a string, errors with code and stack, cycles cut. */
function stringify(line: Readonly<Record<string, unknown>>): string {
  const ancestors: unknown[] = [];
  return JSON.stringify(line, function replace(this: unknown, _key, value: unknown) {
    if (typeof value === "bigint") return value.toString();
    if (typeof value !== "object" || value === null) return value;
    // `this` holds `value`: whatever was deeper than it is finished.
    while (ancestors.length > 0 && ancestors.at(-1) !== this) ancestors.pop();
    if (ancestors.includes(value)) return "[circular]";
    const plain = value instanceof Error ? plainError(value) : value;
    ancestors.push(plain);
    return plain;
  });
}

function plainError(error: Error): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  const code = "code" in error ? { code: error.code } : {};
  return { name, ...code, message, ...(cause === undefined ? {} : { cause }), stack };
}
