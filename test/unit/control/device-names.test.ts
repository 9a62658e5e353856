import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CodedError } from "../../../src/common/errors.ts";
import { openBench } from "../../helpers/control-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("control/device-names");

test(
  "a board knows its own disks by what other boards call them, and nobody else's",
  inFolder(async (folder) => {
    await using bench = await openBench({ folder, images: ["disk1", "opi-a.disk2"] });
    const { devices } = bench.control;
    const idOf = (key: string): string => devices.find(key).record.id;
    const names = ["disk1", "opi-a.disk1", "peer:opi-a/disk1", bench.image("disk1")];
    assert.equal(names.map(idOf), ["disk1", "disk1", "disk1", "disk1"]);
    assert.is(idOf("opi-a.disk2"), "opi-a.disk2", "a name of its own comes first");
    for (const key of ["b.disk1", "peer:b/disk1", "opi-a.disk3", "opi-a."]) {
      assert.throws(
        () => devices.find(key),
        (error: CodedError) => error.code === "CONTROL_DEVICE_NOT_FOUND",
      );
    }
  }),
);

test.run();
