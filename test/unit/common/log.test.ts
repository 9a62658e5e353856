import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { type Logger, type LogLevel, ndjsonLogger, silentLogger } from "../../../src/common/log.ts";

interface Captured {
  readonly logger: Logger;
  /** The lines written so far, parsed. */
  readonly lines: () => Record<string, unknown>[];
}

function capture(level: LogLevel): Captured {
  const written: string[] = [];
  const wallTime = (): number => Date.UTC(2030, 0, 2, 3, 4, 5, 6);
  const logger = ndjsonLogger({ write: (line) => written.push(line), wallTime, level });
  return { logger, lines: () => written.map((line) => JSON.parse(line)) };
}

const test = suite("common/log");

test("writes one object per line with time, level, event and fields", () => {
  const { logger, lines } = capture("info");
  logger.info({ array: "md0" }, "array.assembled");
  assert.equal(lines(), [
    { time: "2030-01-02T03:04:05.006Z", level: "info", event: "array.assembled", array: "md0" },
  ]);
});

test("drops lines below its level", () => {
  const { logger, lines } = capture("warn");
  logger.debug({}, "a");
  logger.info({}, "b");
  logger.warn({}, "c");
  logger.error({}, "d");
  assert.equal(
    lines().map(({ event }) => event),
    ["c", "d"],
  );
});

test("a child adds its fields to every line", () => {
  const { logger, lines } = capture("info");
  logger.child({ array: "md0" }).child({ member: "a" }).info({ events: 4 }, "member.failed");
  assert.equal(lines()[0]?.["array"], "md0");
  assert.equal(lines()[0]?.["member"], "a");
  assert.equal(lines()[0]?.["events"], 4);
});

test("writes errors with code, message and cause", () => {
  const { logger, lines } = capture("info");
  const cause = new Error("deeper");
  logger.error({ error: new CodedError("HAL_X", "broken", { cause }) }, "failed");
  const error = lines()[0]?.["error"] as Record<string, unknown>;
  assert.is(error["code"], "HAL_X");
  assert.is(error["message"], "broken");
  assert.is((error["cause"] as Record<string, unknown>)["message"], "deeper");
});

test("writes bigints, cycles and line feeds without breaking the line", () => {
  const { logger, lines } = capture("info");
  const cycle: Record<string, unknown> = { name: "a\nb" };
  cycle["self"] = cycle;
  const shared = { x: 1 };
  logger.info({ cycle, events: 12n, first: shared, second: shared }, "odd");
  assert.equal(lines()[0]?.["cycle"], { name: "a\nb", self: "[circular]" });
  assert.is(lines()[0]?.["events"], "12");
  assert.equal(lines()[0]?.["second"], { x: 1 }, "a value used twice is not a cycle");
});

test("the silent logger takes everything", () => {
  silentLogger.child({ a: 1 }).error({}, "nobody hears this");
});

test.run();
