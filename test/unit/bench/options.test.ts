import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Bench } from "../../../bench/bench.ts";
import { BENCHES } from "../../../bench/benches.ts";
import { parseOptions, usageOf } from "../../../bench/options.ts";

const test = suite("bench/options");

const FIRST: Bench = {
  name: "first",
  summary: "the first one",
  workloads: [
    { name: "read", group: "core", description: "reads" },
    { name: "write", group: "core", description: "writes" },
    { name: "read.slow", group: "slow", description: "slow reads" },
  ],
  targets: ["ours", "peer", "other"],
  tables: [],
  space: () => 0,
  tools: () => [],
  hasRuns: true,
  defaults: { seconds: 3, rounds: 5, sizeMib: 64, workloads: ["core"], targets: ["ours", "peer"] },
  run: async () => ({ tables: [], results: [] }),
};
const SECOND: Bench = {
  ...FIRST,
  name: "second",
  targets: [],
  hasRuns: false,
  defaults: { ...FIRST.defaults, targets: [] },
};
const parse = (...args: string[]) => parseOptions(args, [FIRST, SECOND]);

test("without words it is the first bench with its defaults", () => {
  const { bench, settings, wantsHelp, dir, json, markdown, document } = parse();
  assert.is(bench, FIRST);
  assert.not(wantsHelp);
  assert.equal([dir, json, markdown, document], Array(4).fill(undefined));
  assert.equal(settings, {
    seconds: 3,
    rounds: 5,
    runs: 1,
    sizeBytes: 64 * 2 ** 20,
    workloads: ["read", "write"],
    targets: ["ours", "peer"],
  });
});

test("a word names the bench, before or after options", () => {
  assert.is(parse("second").bench, SECOND);
  assert.is(parse("--rounds", "2", "second").bench, SECOND);
  assert.is(parse("second", "--rounds", "2").settings.rounds, 2);
  assert.ok(parse("--help", "second").wantsHelp);
  assert.throws(() => parse("third"), "third: name one bench of first, second");
  assert.throws(() => parse("first", "second"), "name one bench");
});

test("workloads are chosen by name or group, each once, in the bench's order", () => {
  const chosen = (words: string) => parse("--workloads", words).settings.workloads;
  assert.equal(chosen("read.slow,read"), ["read", "read.slow"]);
  assert.equal(chosen("slow core read"), ["read", "write", "read.slow"]);
  assert.equal(chosen("all"), ["read", "write", "read.slow"]);
  assert.throws(() => chosen("reed"), "--workloads reed: takes all, core, slow, read, write");
  assert.throws(() => chosen(","), "--workloads");
});

test("targets are chosen by name, in the bench's order", () => {
  assert.equal(parse("--targets", "other,ours").settings.targets, ["ours", "other"]);
  assert.throws(() => parse("--targets", "nobody"), "--targets nobody: takes ours, peer, other");
  assert.throws(() => parse("--targets", ""), "--targets");
  assert.throws(() => parse("--targets"), "--targets: give its value");
  assert.equal(parse("second").settings.targets, []);
  assert.throws(() => parse("second", "--targets", "ours"), "second measures Satsuma alone");
});

test("counts are whole numbers within limits", () => {
  assert.throws(() => parse("--size", "1e3"), "--size 1e3: takes a whole number from 1");
  assert.is(parse("--size", "7").settings.sizeBytes, 7 * 2 ** 20);
  for (const bad of ["0", "-1", "1.5", "x", "", "1e9"]) {
    assert.throws(() => parse(`--rounds=${bad}`), `--rounds ${bad}: takes a whole number from 1`);
  }
  assert.is(parse("--runs", "3").settings.runs, 3);
  assert.throws(() => parse("second", "--runs", "3"), "--runs 3: takes a whole number from 1 to 1");
  assert.throws(() => parse("--hurry"), "--hurry");
  assert.throws(() => parse("--rounds", "--seconds", "3"), "--rounds");
});

test("the help names every bench, option and workload", () => {
  const usage = usageOf([FIRST, SECOND], SECOND);
  for (const text of ["first", "second", "--markdown", "read.slow", "(5)", "none to choose"]) {
    assert.match(usage, text);
  }
});

test("the real benches have words that do not collide and defaults that parse", () => {
  assert.is(new Set(BENCHES.map(({ name }) => name)).size, BENCHES.length);
  for (const bench of BENCHES) {
    const names = bench.workloads.map(({ name }) => name);
    const groups = new Set(bench.workloads.map(({ group }) => group));
    assert.is(new Set(names).size, names.length, bench.name);
    assert.not(
      names.some((name) => groups.has(name) || name === "all"),
      bench.name,
    );
    const { settings } = parseOptions([bench.name], BENCHES);
    assert.ok(settings.workloads.length > 0, bench.name);
  }
});

test.run();
