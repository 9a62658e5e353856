import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  formatAge,
  formatDuration,
  formatDurationRange,
} from "../../../web/src/format/duration.ts";
import {
  bytesOf,
  formatBytes,
  formatBytesDecimal,
  formatPercent,
  formatRate,
} from "../../../web/src/format/quantity.ts";

const test = suite("format");

test("sizes are binary with as many digits as matter", () => {
  const cases: readonly [bytes: number, text: string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [268_435_456, "256 MiB"],
    [1_610_612_736, "1.5 GiB"],
    [1_000_204_886_016, "931.5 GiB"],
    [2 ** 53, "8 PiB"],
  ];
  for (const [bytes, text] of cases) assert.is(formatBytes(bytes), text);
});

test("the tooltip has the size in decimal units and exactly", () => {
  assert.is(formatBytesDecimal(1_000_204_886_016), "1 TB (1,000,204,886,016 bytes)");
  assert.is(formatBytesDecimal(1_610_612_736), "1.61 GB (1,610,612,736 bytes)");
  assert.is(formatBytesDecimal(512), "512 bytes");
});

test("rates keep one decimal", () => {
  assert.is(formatRate(0), "0 B/s");
  assert.is(formatRate(58 * 1024 ** 2), "58.0 MiB/s");
  assert.is(formatRate(1_300_000_000), "1.2 GiB/s");
});

test("percent never claims to be done before it is", () => {
  assert.is(formatPercent(99.99), "99.9 %");
  assert.is(formatPercent(100), "100.0 %");
  assert.is(formatPercent(104), "100.0 %");
  assert.is(formatPercent(0), "0.0 %");
});

test("a size is read from an amount and a unit", () => {
  assert.is(bytesOf("1.5", "GiB"), 1_610_612_736);
  assert.is(bytesOf(" 64 ", "MiB"), 67_108_864);
  for (const wrong of ["", "0", "-1", "x", "1e99"]) assert.is(bytesOf(wrong, "GiB"), null, wrong);
});

test("durations have one or two units", () => {
  const cases: readonly [seconds: number, text: string][] = [
    [-3, "< 1 s"],
    [0.2, "< 1 s"],
    [45, "45 s"],
    [89.9, "90 s"],
    [90, "2 min"],
    [3540, "59 min"],
    [3599, "1 h"],
    [9000, "2 h 30 min"],
    [7200, "2 h"],
    [86_399, "24 h"],
    [273_600, "3 d 4 h"],
  ];
  for (const [seconds, text] of cases) assert.is(formatDuration(seconds), text, String(seconds));
});

test("a range of durations names the unit once when it can", () => {
  const cases: readonly [low: number, high: number, text: string][] = [
    [40, 55, "40–55 s"],
    [87, 88, "87–88 s"],
    [180, 240, "3–4 min"],
    [55, 120, "55 s – 2 min"],
    [9000, 11_400, "2 h 30 min – 3 h 10 min"],
    [100, 110, "2 min"],
    [0, 0.4, "< 1 s"],
    [0, 5, "< 1 s – 5 s"],
    [3400, 3599, "57 min – 1 h"],
  ];
  for (const [low, high, text] of cases) assert.is(formatDurationRange(low, high), text);
});

test("ages are in one unit, and a time ahead of the clock is no age", () => {
  assert.is(formatAge(0, 59_900), "59 s");
  assert.is(formatAge(0, 60_000), "1 min");
  assert.is(formatAge(0, 7_199_000), "1 h");
  assert.is(formatAge(0, 172_800_000), "2 d");
  assert.is(formatAge(1000, 0), "0 s");
});

test.run();
