import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withDeviceNames } from "../../../web/src/board/device-names.ts";
import { deviceSample } from "../../helpers/panel-samples.ts";

const test = suite("device-names");

const devices = [deviceSample("disk1", "in-use"), deviceSample("disk2", "free")];

test("paths of known devices become their names", () => {
  assert.is(
    withDeviceNames("Member /disks/disk1.img failed, then /disks/disk2.img.", devices),
    "Member disk1 failed, then disk2.",
  );
  assert.is(withDeviceNames("/disks/disk1.img", devices), "disk1");
});

test("other paths stay, however much they look alike", () => {
  for (const text of ["/old/disks/disk1.img", "/disks/disk1.img.bak", "/disks/disk1.imgs", "no"]) {
    assert.is(withDeviceNames(text, devices), text);
  }
});

test.run();
