import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseUuid, uuidToKernelText, uuidToMdadmText } from "../../../src/raid/uuid.ts";
import { SAMPLE_UUID } from "../../helpers/md-samples.ts";

const test = suite("raid/uuid");

test("prints mdadm's and the kernel's form of the same bytes", () => {
  assert.is(uuidToMdadmText(SAMPLE_UUID), "00112233:44556677:8899aabb:ccddeeff");
  assert.is(uuidToKernelText(SAMPLE_UUID), "00112233-4455-6677-8899-aabbccddeeff");
});

test("reads both forms, and digits in any grouping", () => {
  const texts = [
    "00112233:44556677:8899aabb:ccddeeff",
    "00112233-4455-6677-8899-aabbccddeeff",
    "00112233445566778899AABBCCDDEEFF",
  ];
  for (const text of texts) assert.equal(parseUuid(text), SAMPLE_UUID);
});

test("refuses anything else", () => {
  for (const text of ["", "0011", `${"0".repeat(31)}g`, "0".repeat(33)]) {
    assert.is(parseUuid(text), null, text);
  }
});

test.run();
