/**
 * mdadm's tests/03r5assemV1, for mirrors: arrays are assembled by UUID, by name or by a list of
 * devices, complete and degraded, with strangers and blank devices among what is given; also with
 * `--run` semantics: what cannot start says why.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { RunningArray } from "../../../src/control/engine.ts";
import { codeOf, KIB, type MdScenario, onScenario, slotsOf } from "../../helpers/md-scenario.ts";

const test = suite("mdadm 03r5assemV1");

const makeThree = async (md: MdScenario, members: readonly string[]): Promise<string> => {
  const array = await md.create(members, { name: "three" });
  await md.write();
  await md.settled(array, "UUU");
  await md.stop(array);
  return array.uuid;
};

/** The devices of a heap that carry what is looked for, as `mdadm -A --uuid`, `--name` choose. */
const choose = async (
  md: MdScenario,
  heap: readonly string[],
  wanted: { readonly uuid?: string; readonly name?: string },
): Promise<string[]> => {
  const chosen: string[] = [];
  for (const path of heap) {
    const found = (await md.bench.engine.probe(path)).md;
    if (found === null) continue;
    if (wanted.uuid !== undefined && found.arrayUuid !== wanted.uuid) continue;
    if (wanted.name !== undefined && !found.name.endsWith(wanted.name)) continue;
    chosen.push(path);
  }
  return chosen;
};

test(
  "by UUID, by name, in any order, with strangers around",
  onScenario(async (md) => {
    const others = md.disks(2, 4, "other");
    await md.stop(await md.create(others, { name: "two", assumeClean: true }));
    const blanks = md.disks(1, 4, "blank");
    const members = md.disks(3, 8);
    const uuid = await makeThree(md, members);
    const heap = [...members.toReversed(), ...others, ...blanks];

    for (const wanted of [{ uuid }, { name: "three" }]) {
      const chosen = await choose(md, heap, wanted);
      assert.equal(chosen.sort(), [...members].sort());
      const array = await md.assemble(chosen);
      assert.equal([slotsOf(array), array.status.sync], ["UUU", null]);
      await md.verify();
      await md.stop(array);
    }
    // A stranger in the list does not take part.
    const array = await md.assemble([...members, ...blanks]);
    assert.is(array.uuid, uuid);
    assert.is(
      array.status.members.some(({ path }) => path === blanks[0]),
      false,
    );
    await md.verify();
    await md.stop(array);
  }),
);

test(
  "degraded: whichever member is missing, until one is left",
  onScenario(async (md) => {
    const members = md.disks(3, 8);
    const [dev0 = "", dev1 = "", dev2 = ""] = members;
    await makeThree(md, members);
    const report = await md.bench.engine.examine([dev1, dev2]);
    assert.equal([report.refusal, report.isComplete, report.degraded], [null, false, 1]);
    const expectSlots = async (
      given: readonly string[],
      slots: string,
      readOnly = false,
    ): Promise<RunningArray> => {
      const array = await md.assemble(given, readOnly);
      assert.is(slotsOf(array), slots);
      await md.verify();
      return array;
    };
    for (const [given, slots] of [
      [[dev1, dev2], "_UU"],
      [[dev0, dev2], "U_U"],
      [[dev2, dev0], "U_U"],
      [[dev1], "_U_"],
    ] as const) {
      // Read-only, so the others stay as good as these. (A read-write start leaves them behind at
      // once; md does with the first write.)
      await md.stop(await expectSlots(given, slots, true));
    }
    const array = await expectSlots([dev0, dev1], "UU_");
    await md.write(0, 64 * KIB);
    await md.stop(array);
    const withOld = await expectSlots([dev2, dev1, dev0], "UU_");
    await withOld.reAdd(dev2);
    await md.settled(withOld, "UUU");
    await md.verify();
    await md.stop(withOld);
  }),
);

test(
  "what is no array is refused with the reason for each device",
  onScenario(async (md) => {
    const { engine } = md.bench;
    const blanks = md.disks(2, 4, "blank");
    assert.is(await codeOf(() => engine.assemble(blanks, { readOnly: false })), "RAID_NO_MEMBERS");
    const spareOnly = md.disks(3, 4, "spare");
    const array = await md.create(spareOnly, { raidDevices: 2, assumeClean: true });
    await md.stop(array);
    const [, , spare = ""] = spareOnly;
    assert.is(await codeOf(() => engine.assemble([spare], { readOnly: false })), "RAID_NO_MEMBERS");
    const raid10 = md.disks(4, 4, "ten");
    const over = { level: "raid10", layout: "n2", chunkBytes: 64 * KIB } as const;
    await md.stop(await md.create(raid10, { ...over, assumeClean: true }));
    const half = raid10.slice(0, 2);
    const report = await engine.examine(half);
    assert.is(await codeOf(() => engine.assemble(half, { readOnly: false })), report.refusal?.code);
  }),
);

test.run();
