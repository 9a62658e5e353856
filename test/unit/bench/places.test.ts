/** The places of a bench's command line: looked at before anything is measured. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BENCHES } from "../../../bench/benches.ts";
import { checkPlaces, type Places, requireSpace } from "../../../bench/places.ts";
import { CodedError } from "../../../src/common/errors.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("bench/places");

const NOWHERE: Places = {
  dir: undefined,
  json: undefined,
  markdown: undefined,
  document: undefined,
};

const codeOf = (body: () => void): string => {
  try {
    body();
    return "none";
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
};

const check = (places: Partial<Places>) => codeOf(() => checkPlaces({ ...NOWHERE, ...places }));

test(
  "files of folders that are not there are named at once, as is a document that is not",
  inFolder(async (folder) => {
    const missing = join(folder, "none");
    for (const option of ["json", "markdown", "document"] as const)
      assert.is(check({ [option]: join(missing, "x") }), "BENCH_FOLDER_MISSING", option);
    assert.is(check({ dir: missing }), "BENCH_FOLDER_MISSING");
    assert.is(check({ json: folder }), "BENCH_FILE_DENIED");
    assert.is(check({ document: missing }), "BENCH_FILE_MISSING");
    writeFileSync(missing, "");
    assert.is(check({ dir: missing }), "BENCH_FOLDER_MISSING");
    assert.is(check({ dir: folder, json: join(folder, "new"), document: missing }), "none");
    assert.is(check({}), "none");
  }),
);

const MIB = 2 ** 20;

test("a disk without room for the files is refused, with what they take", () => {
  const require = (free: number) => () => requireSpace("/srv", 1000 * MIB, () => free);
  assert.is(codeOf(require(1000 * MIB)), "BENCH_NO_SPACE");
  assert.is(codeOf(require(1128 * MIB)), "none");
  assert.throws(require(10 * MIB), "/srv has 10 MiB free, the files take 1128 MiB");
});

test("what a bench takes grows with the size, and with those that are measured", () => {
  for (const { name, space, defaults } of BENCHES) {
    const { seconds, rounds, workloads, targets } = defaults;
    const settings = { seconds, rounds, runs: 1, workloads, targets };
    const bytes = [64, 128].map((mib) => space({ ...settings, sizeBytes: mib * MIB }));
    const [small = -1, large = -1] = bytes;
    assert.ok(small >= 0 && large >= small, `${name}: ${small}, ${large}`);
  }
  const clients = BENCHES.find(({ name }) => name === "clients");
  const settings = { seconds: 1, rounds: 1, runs: 1, sizeBytes: MIB, workloads: ["rr1"] };
  const take = (...targets: string[]) => clients?.space({ ...settings, targets });
  // Two members, random data, and what came back of it; then one plain file more.
  assert.equal([take("satsuma"), take("satsuma", "raw")], [4 * MIB, 5 * MIB]);
});

test.run();
