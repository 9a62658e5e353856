/**
 * mdadm's tests/04update-metadata converts arrays of metadata 0.90 to 1.0 at assembly. Satsuma does
 * not: it recognises 0.90, refuses it by name with the mdadm command that converts it, and writes
 * nothing.
 */
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { linuxFixtures, unpackFixture } from "../../helpers/linux-fixtures.ts";
import { onScenario } from "../../helpers/md-scenario.ts";
import { trySatsuma } from "../../helpers/satsuma-command.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm 04update-metadata");

skipUnless("xz", test)(
  "an array of metadata 0.90 is refused, online and offline, with the way to convert it",
  onScenario(async (md) => {
    const fixture = linuxFixtures().find(({ name }) => name === "r1-meta090");
    assert.ok(fixture !== undefined);
    const members = await unpackFixture(fixture, md.bench.folder);
    const before = members.map((path) => readFileSync(path));

    let refusal: unknown;
    await md.bench.engine.assemble(members, { readOnly: false }).catch((error: unknown) => {
      refusal = error;
    });
    assert.instance(refusal, CodedError);
    const { code, advice } = refusal as CodedError;
    assert.is(code, "RAID_UNSUPPORTED_METADATA");
    assert.match(advice, "--update=metadata");
    const offline = await trySatsuma("update", "--resync", ...members);
    assert.is(offline.ending, "1");
    assert.match(offline.stderr, "--update=metadata");
    for (const [index, path] of members.entries()) {
      assert.is(Buffer.compare(before[index] ?? Buffer.alloc(0), readFileSync(path)), 0);
    }
  }),
);

test.run();
