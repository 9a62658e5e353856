/** Every refusal of a running array's commands tells what to do. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { remedyFor } from "../../../src/raid/refusal-remedies.ts";

const RAID = join(import.meta.dirname, "../../../src/raid");
const WORKERS = join(import.meta.dirname, "../../../src/workers");

const codesOf = (file: string): readonly string[] =>
  [...readFileSync(file, "utf8").matchAll(/(?:refuse\(\s*|code: )"(RAID_[A-Z_]+)"/g)].map(
    ([, code = ""]) => code,
  );

const test = suite("raid/refusal-remedies");

test("every code that a command is refused with has its remedy, without a full stop", () => {
  const names = ["member-commands.ts", "member-join.ts", "member-arrival.ts", "array-machine.ts"];
  const threads = ["array.worker.ts", "array-devices.ts", "running-change.ts", "array-changes.ts"];
  const files = [
    ...names.map((name) => join(RAID, name)),
    ...threads.map((name) => join(WORKERS, name)),
  ];
  const codes = new Set(files.flatMap(codesOf));
  assert.ok(codes.size > 15);
  codes.add("CLUSTER_NODE_BUSY");
  for (const code of codes) assert.match(remedyFor(code), /^[a-z].*[^.]$/, code);
});

test("a code that no command has ends without a remedy", () => {
  assert.is(remedyFor("RAID_SOMETHING_ELSE"), "");
});

test.run();
