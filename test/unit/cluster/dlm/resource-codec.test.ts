/** The stored form of a resource: its bytes, its size, and what is refused. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_RESOURCE, LOCKS_MAX } from "../../../../src/cluster/dlm/lock-resource.ts";
import {
  decodeResource,
  encodeResource,
  RESOURCE_TEXT_MAX,
} from "../../../../src/cluster/dlm/resource-codec.ts";
import { CodedError } from "../../../../src/common/errors.ts";
import { lvbOf, tellLockStory } from "../../../helpers/lock-bench.ts";

const test = suite("cluster/dlm/resource-codec");

const busy = tellLockStory(`
  req a PW VALBLK -> AST a ok PW
  cvt a PW VALBLK m1 -> AST a ok PW lvb=m1
  req b CR VALBLK -> AST b ok CR lvb=m1
  cvt a EX VALBLK -> BAST b(EX)
  req c PR NOBAST -> -
`).resource;
const LVB = lvbOf("m1");
const BUSY_TEXT =
  '{"v":1,"g":[[2,102,1,3,1,-1,8,0,3,5,1,0,1,5,1,null]],' +
  '"c":[[1,101,1,4,4,5,12,0,1,0,2,0,0,0,1,null]],' +
  `"w":[[3,103,1,5,-1,3,0,0,0,0,0,0,0,0,0,null]],"b":"${LVB}","s":1,"i":0}`;

test("version 1, byte for byte", () => {
  assert.is(encodeResource(busy), BUSY_TEXT);
  assert.equal(decodeResource(BUSY_TEXT), busy);
  const empty = '{"v":1,"g":[],"c":[],"w":[],"b":null,"s":0,"i":0}';
  assert.is(encodeResource(EMPTY_RESOURCE), empty);
  assert.equal(decodeResource(empty), EMPTY_RESOURCE);
});

test("a lock takes some 50 bytes: eight members and a value block stay below 600", () => {
  const lines = Array.from({ length: 8 }, (_, index) => `req m${index} CR -> AST m${index} ok CR`);
  const { resource } = tellLockStory(lines.join("\n"));
  const text = encodeResource({
    ...resource,
    granted: resource.granted.map((lock) => ({ ...lock, epoch: 123_456, op: 4711, id: 12 })),
    lvb: LVB,
    lvbSeq: 99,
  });
  assert.ok(text.length < 600, `${text.length} bytes`);
});

const refused = (text: string): string => {
  try {
    decodeResource(text);
  } catch (error) {
    assert.instance(error, CodedError);
    assert.is((error as CodedError).code, "DLM_BAD_RESOURCE");
    return String((error as CodedError).details["reason"]);
  }
  return "accepted";
};

const LOCK = "[2,102,1,3,1,-1,8,0,3,5,1,0,1,5,1,null]";

/** What is replaced in the good text, by what, and the reason given. */
const REFUSED: readonly (readonly [string, string, string, RegExp])[] = [
  ["no JSON", '{"v"', '{"v', /JSON/],
  ["another version", '"v":1', '"v":2', /encoding writes/],
  ["a version that is no number", '"v":1', '"v":"1"', /encoding writes/],
  ["another field", '"i":0', '"i":0,"x":1', /encoding writes/],
  ["a field twice", '"s":1', '"s":1,"s":1', /encoding writes/],
  ["white space", '"s":1', '"s": 1', /encoding writes/],
  ["another spelling of a number", '"s":1', '"s":1.0', /encoding writes/],
  ["a queue that is no array", `[${LOCK}]`, "{}", /queue/],
  ["a lock that is no array", LOCK, "{}", /lock that is none/],
  ["a field of a lock too few", LOCK, LOCK.replace(",null", ""), /lock that is none/],
  ["a field of a lock too many", LOCK, LOCK.replace("null", "null,0"), /lock that is none/],
  ["slot 0", "[2,102", "[0,102", /number/],
  ["a fraction", "[2,102", "[2,102.5", /number/],
  ["a number too large", "[2,102", "[2,9007199254740993", /number/],
  ["a number as text", "[2,102", '[2,"102"', /number/],
  ["mode 6", "3,1,-1,8", "3,6,-1,8", /mode/],
  ["mode -2", "3,1,-1,8", "3,1,-2,8", /mode/],
  ["an unknown flag", "1,-1,8,0", "1,-1,128,0", /flags/],
  ["flags beyond 32 bits", "1,-1,8,0", "1,-1,4294967304,0", /flags/],
  ["an unknown status flag", "-1,8,0,3", "-1,8,8,3", /number/],
  ["an unknown status", "5,1,0,1,5", "5,1,4,1,5", /number/],
  ["a granted lock that requests", "1,-1,8", "1,3,8", /does not belong/],
  ["a converting lock without request", "4,5,12", "4,-1,12", /does not belong/],
  ["a waiting lock that holds", "-1,3,0,0,0", "0,3,0,0,0", /does not belong/],
  ["EXPEDITE in a queue", "-1,3,0,0,0", "-1,3,1024,0,0", /did not allow/],
  ["NOQUEUE in a queue", "4,5,12", "4,5,13", /did not allow/],
  ["a lock twice", "[3,103,1", "[2,102,1", /twice/],
  ["modes that exclude each other", "3,1,-1,8", "3,5,-1,8", /compatible/],
  ["a value block too short", LVB, LVB.slice(4), /another length/],
  ["a value block that is no base64", LVB, `*${LVB.slice(1)}`, /another length/],
  ["a value block that is a number", `"${LVB}"`, "5", /no text/],
  ["a value block never written", '"s":1', '"s":0', /never written|future/],
  ["writes without a value block", `"${LVB}"`, "null", /never written/],
  ["a lock that read the future", "5,1,null]],", "5,2,null]],", /future/],
  ["a pending value block of who waits for nothing", "1,5,1,null", `1,5,1,"${LVB}"`, /pending/],
  ["an invalid mark of 2", '"i":0', '"i":2', /number/],
];

for (const [name, from, to, reason] of REFUSED) {
  test(`refused: ${name}`, () => {
    assert.ok(BUSY_TEXT.includes(from), from);
    assert.match(refused(BUSY_TEXT.replace(from, () => to)), reason);
  });
}

test("refused: what is no object, a value block without locks, too much", () => {
  for (const text of ["", "null", "[]", "7", '"x"']) assert.not.equal(refused(text), "accepted");
  const lone = `{"v":1,"g":[],"c":[],"w":[],"b":"${LVB}","s":1,"i":0}`;
  assert.match(refused(lone), /without locks/);
  assert.match(
    refused(lone.replace(`"${LVB}","s":1`, 'null,"s":0').replace('i":0', 'i":1')),
    /without/,
  );
  const many = Array.from({ length: LOCKS_MAX + 1 }, (_, id) =>
    LOCK.replace("2,102,1", `2,102,${id + 1}`),
  );
  assert.match(refused(BUSY_TEXT.replace(LOCK, many.join(","))), /queue/);
  const spread = many.slice(1).join(",");
  assert.match(refused(BUSY_TEXT.replace(LOCK, spread)), /too many locks/);
  assert.match(refused(" ".repeat(RESOURCE_TEXT_MAX + 1)), /characters/);
});

test("the largest resource fits", () => {
  const longest = `[${Array.from({ length: 16 }, () => Number.MAX_SAFE_INTEGER).join(",")}]`.length;
  assert.ok(LOCKS_MAX * (longest + 344) + 500 < RESOURCE_TEXT_MAX);
});

test.run();
