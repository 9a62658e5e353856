/**
 * mdadm's tests/00readonly: an array of every level and metadata version goes read-only and back.
 * Read-only it answers reads, refuses writes, changes no byte of its members, and runs no sync, not
 * even one that is due; read-write again it makes up for that.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CRAWL, codeOf, KIB, onScenario } from "../../helpers/md-scenario.ts";

const test = suite("mdadm 00readonly");

const digestsOf = (paths: readonly string[]): readonly string[] =>
  paths.map((path) => createHash("sha256").update(readFileSync(path)).digest("hex"));

const KINDS = [
  { level: "raid1", layout: null, metadata: "1.0" },
  { level: "raid1", layout: null, metadata: "1.1" },
  { level: "raid1", layout: null, metadata: "1.2" },
  { level: "raid10", layout: "n2", metadata: "1.0" },
  { level: "raid10", layout: "f2", metadata: "1.1" },
  { level: "raid10", layout: "o2", metadata: "1.2" },
] as const;

for (const kind of KINDS) {
  test(
    `${kind.level} ${kind.layout ?? ""} ${kind.metadata}: read-only and back`,
    onScenario(async (md) => {
      const members = md.disks(3, 8);
      const array = await md.create(members, {
        ...kind,
        chunkBytes: kind.level === "raid1" ? null : 64 * KIB,
      });
      await md.write();
      await md.settled(array, "UUU");
      await md.stop(array);
      const before = digestsOf(members);

      const readOnly = await md.assemble(members, true);
      assert.is(readOnly.status.arrayState, "readonly");
      await md.verify();
      const client = await md.client();
      let refused = "";
      await client.write(0, new Uint8Array(512)).catch((error: Error) => {
        refused = error.message;
      });
      assert.match(refused, "NBD error 1", "EPERM");
      assert.is.not(await codeOf(() => readOnly.setSyncAction("repair")), "no error");
      assert.is.not(await codeOf(() => readOnly.fail(members[0] ?? "")), "no error");
      await md.stop(readOnly);
      assert.equal(digestsOf(members), before);

      const again = await md.assemble(members);
      assert.is.not(again.status.arrayState, "readonly");
      await md.verify();
      await md.write(0, 64 * KIB);
      await md.verify();
      await md.stop(again);
    }),
  );
}

test(
  "a resync that was interrupted waits while the array is read-only, then goes on",
  onScenario(async (md) => {
    const members = md.disks(2);
    const array = await md.create(members, {}, CRAWL);
    await md.write(0, 256 * KIB);
    await md.running(array, "resync");
    await md.stop(array);
    const before = digestsOf(members);
    const readOnly = await md.assemble(members, true);
    await md.verify();
    assert.is(readOnly.status.sync, null);
    await md.stop(readOnly);
    assert.equal(digestsOf(members), before);
    const again = await md.assemble(members);
    await md.settled(again, "UU");
    assert.is(md.ended("resync"), 2, "one was interrupted, one ended");
    await md.verify();
    assert.is(await md.check(again), 0);
    await md.stop(again);
  }),
);

test.run();
