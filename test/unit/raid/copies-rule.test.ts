/** From which copies a node may begin to run a clustered array, and how it leaves newer behind. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { PlainError } from "../../../src/common/errors.ts";
import { FaultDevice, FaultSwitch } from "../../../src/hal/layers/fault-device.ts";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";
import {
  type AssembleDevice,
  type AssembleOptions,
  assembleDevices,
} from "../../../src/raid/assemble-driver.ts";
import { encodeBitmapSuperblock } from "../../../src/raid/bitmap-superblock.ts";
import { decodeSuperblock, encodeSuperblock } from "../../../src/raid/superblock.ts";
import { MD_DISK_ROLE_FAULTY } from "../../../src/raid/superblock-fields.ts";
import { assembleJoined } from "../../../src/workers/array-members.ts";
import { LoneNode } from "../../helpers/lone-node.ts";
import { roles, sampleBitmap, sampleSuperblock } from "../../helpers/md-samples.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("raid/copies-rule");
const MIB = 1024 * 1024;
const SIZE = (6 * MIB) / 512;
const NODES = 4;
const NOBODY = { newest: null, isForced: false, doubt: null };
const DOUBT: PlainError = {
  code: "CONTROL_ARRAY_INCOMPLETE",
  message: "what the member holds may be newer",
  remedy: "bring it back",
  details: {},
};

const clusterName = new Uint8Array(64);
clusterName.set(new TextEncoder().encode("attic"));

/** A member of a two-way mirror of the cluster "attic". */
const image = (
  devNumber: number,
  events: number,
  devRoles = roles(0, 1),
  featureMap = 0x101,
): Uint8Array => {
  const bytes = new Uint8Array(8 * MIB);
  const shape = { size: SIZE, dataSize: SIZE, dataOffset: 2048, devNumber };
  const clustered = { featureMap, resyncOffset: 0, events, devRoles } as const;
  bytes.set(encodeSuperblock(sampleSuperblock({ ...shape, ...clustered })), 4096);
  const bitmap = { syncSize: SIZE, chunkBytes: MIB, nodes: NODES, clusterName };
  for (let slot = 0; slot < NODES; slot++)
    bytes.set(
      encodeBitmapSuperblock(sampleBitmap({ ...bitmap, version: 5, events })),
      8192 + slot * 4096,
    );
  return bytes;
};

type Copies = NonNullable<AssembleOptions["copies"]>;

const membersOf = (images: readonly Uint8Array[]) =>
  images.map((bytes, at) => ({ path: `/m${at}`, device: new MemoryDevice(`/m${at}`, bytes) }));

const start = async (
  images: readonly Uint8Array[],
  copies: Partial<Copies>,
  isRunElsewhere = false,
  isChanged = false,
  members: readonly AssembleDevice[] = membersOf(images),
) => {
  const before = images.map((bytes) => bytes.slice());
  const limits = { syncSpeedMin: 1, syncSpeedMax: 1, workers: 1, now: 1_800_000_000_000 };
  const outcome = await assembleDevices(members, {
    ...limits,
    readOnly: false,
    cluster: { name: "attic", slot: 0, isRunElsewhere },
    isChanged,
    copies: { ...NOBODY, ...copies },
  }).then(
    ({ events, forced }) => ({ events, forced, code: null, text: "" }),
    ({ code, message, remedy }) => ({
      ...{ code, text: `${message}: ${remedy}` },
      ...{ events: null, forced: null },
    }),
  );
  assert.equal(images, before, "nothing is written before the cluster is told");
  return outcome;
};

const codeOf = async (...args: Parameters<typeof start>) => (await start(...args)).code;

test("alone it starts from what nobody was told to be old, and from nothing else", async () => {
  const alone = [image(0, 20)];
  assert.is(await codeOf(alone, { newest: 20 }), null);
  assert.is(await codeOf(alone, { newest: 19 }), null, "written, and told to nobody");
  assert.is(await codeOf(alone, { newest: 21 }), "CLUSTER_NEWER_COPY_ELSEWHERE");
  const { text } = await start(alone, { newest: 23 });
  assert.match(text, /have 23 events, those that can be read here 20; its member of raid slot 1/);
  assert.match(text, /satsuma assemble --run/);
});

test("copies that are not rebuilt to the end say as well how far they are behind", async () => {
  const half = [image(0, 20, roles(0, 1), 0x103)];
  const { code, text } = await start(half, { newest: 23 });
  assert.is(code, "RAID_NOT_ENOUGH_MEMBERS");
  assert.match(text, "; the newest superblocks have 23 events, those that can be read here 20");
  assert.not.match((await start(half, { newest: 20 })).text, "events");
});

test("that all members are there which these know of says nothing: the others went on without", async () => {
  const left = [image(0, 20, roles(0, MD_DISK_ROLE_FAULTY))];
  assert.is(await codeOf(left, { newest: 30 }), "CLUSTER_NEWER_COPY_ELSEWHERE");
  assert.is(await codeOf(left, { newest: 30 }, true), "CLUSTER_NEWER_COPY_ELSEWHERE");
});

test("after a change of another node it goes on from no older copies than that one has told of", async () => {
  const alone = [image(0, 20)];
  assert.is(await codeOf(alone, { newest: 22 }, true, true), "CLUSTER_NEWER_COPY_ELSEWHERE");
  assert.is(await codeOf(alone, { newest: 20 }, true, true), null, "it knows the others");
});

test("the newest copy that can be read counts, whatever is beside it", async () => {
  const failed = image(0, 20);
  const newer = image(1, 24, roles(MD_DISK_ROLE_FAULTY, 1));
  assert.is(await codeOf([failed, newer], { newest: 24 }), null);
  assert.is(await codeOf([failed], { newest: 24 }), "CLUSTER_NEWER_COPY_ELSEWHERE");
});

/** Members of which those at `stuck` cannot be flushed. */
const stuckAt = (images: readonly Uint8Array[], ...stuck: readonly number[]): AssembleDevice[] => {
  const faults = new FaultSwitch();
  faults.arm({ kind: "flush-error", after: 0, count: null, range: null, stallMs: 0 });
  return membersOf(images).map(({ path, device }, at) => {
    if (!stuck.includes(at)) return { path, device };
    return { path, device: new FaultDevice(device, faults, async () => undefined) };
  });
};

test("a superblock that does not come to rest tells the cluster nothing: a power cut may take it back", async () => {
  const both = [image(0, 21), image(1, 20)];
  const begun = await start(both, { newest: 20 }, false, false, stuckAt(both, 0));
  assert.equal([begun.code, begun.forced], [null, null]);
  assert.is(begun.events, 20, "as if the newer one could not be read");
  const alike = [image(0, 21), image(1, 21)];
  const { events } = await start(alike, { newest: 20 }, false, false, stuckAt(alike, 0));
  assert.is(events, 21, "one of two is on its medium");
  const told = await start(both, { newest: 21 }, false, false, stuckAt(both, 0));
  assert.is(told.code, "CLUSTER_NEWER_COPY_ELSEWHERE", "it was told: what is older does not go on");
  const alone = await start([image(0, 21)], {}, false, false, stuckAt([image(0, 21)], 0));
  assert.is(alone.code, "RAID_NO_MEMBERS");
});

test("where nothing is known of the copies the board's own doubt holds; where something is, not", async () => {
  const alone = [image(0, 20)];
  assert.is(await codeOf(alone, { doubt: DOUBT }), "CONTROL_ARRAY_INCOMPLETE");
  assert.is(await codeOf(alone, { doubt: DOUBT, isForced: true }), null);
  assert.is(await codeOf(alone, { doubt: DOUBT, newest: 20 }), null);
  assert.is(await codeOf(alone, {}), null);
});

test("others ran it when its first member was opened: what they kept from it then is waited for", async () => {
  const limits = {
    syncSpeedMin: 1,
    syncSpeedMax: 1,
    workers: 1,
    answerLimitMs: null,
    linkShare: 1,
  };
  const data = { ...limits, readOnly: false, run: false, doubt: null };
  const nothing = async () => {};
  const copies = { newest: async () => 20, begin: nothing, setAside: nothing };
  const node = { name: "attic", slot: 0, isRunElsewhere: false, copies };
  const begin = async (wasRunElsewhere: boolean, ...images: readonly Uint8Array[]) => {
    return await assembleJoined(data, membersOf(images), node, wasRunElsewhere).then(
      () => null,
      ({ code }) => code,
    );
  };
  assert.is(await begin(true, image(0, 20)), "CLUSTER_MEMBER_MISSING");
  assert.is(await begin(true, image(0, 20), image(1, 20)), null, "nothing is missing");
  assert.is(await begin(false, image(0, 20)), null, "nobody kept anything from it");
});

test("others run it: a member that they believe working is waited for, also by force", async () => {
  const alone = [image(0, 20)];
  const forced = { newest: 20, isForced: true };
  assert.is(await codeOf(alone, forced, true), "CLUSTER_MEMBER_MISSING");
  const left = [image(0, 20, roles(0, MD_DISK_ROLE_FAULTY))];
  const { code, text } = await start(left, { newest: 30, isForced: true }, true);
  assert.is(code, "CLUSTER_NEWER_COPY_ELSEWHERE", "they go on from newer ones");
  assert.not.match(text, /--run/);
});

test("by force it goes on from older copies; not from what is too far behind to be outrun", async () => {
  const alone = [image(0, 20)];
  assert.equal((await start(alone, { newest: 30, isForced: true })).forced, { from: 20, to: 46 });
  assert.is((await start(alone, { newest: 20, isForced: true })).forced, null, "none is newer");
  const unknown = { from: 20, to: Number.MAX_SAFE_INTEGER };
  assert.equal((await start(alone, { isForced: true })).forced, unknown, "nobody knows");
  const { code, text } = await start(alone, { newest: 2 ** 50, isForced: true });
  assert.is(code, "CLUSTER_NEWER_COPY_ELSEWHERE");
  assert.not.match(text, /--run/);
});

test("where nobody knows how far others went only what was told to nobody is outrun", async () => {
  const bytes = image(0, 20);
  const copies = { newest: null, isForced: true, doubt: null };
  const node = await LoneNode.start([bytes], "attic", 0, { copies });
  const finished = () => node.calls.find(({ type }) => type === "metadata-update-finish");
  await eventually("the first update is told", 10_000, () => {
    node.driver.tick();
    return finished() !== undefined;
  });
  assert.equal(finished(), { type: "metadata-update-finish", deviceNumber: 0, events: 36 });
  await node.stop();
});

test("an update that outruns others ends at the events that the cluster gives it, and no other", async () => {
  const bytes = image(0, 20);
  const node = await LoneNode.start([bytes], "attic", 0, { copies: { ...NOBODY, newest: 20 } });
  node.ahead = 16;
  const told = () => node.calls.find(({ type }) => type === "metadata-update-finish");
  await eventually("the first update is told", 10_000, () => {
    node.driver.tick();
    return told() !== undefined;
  });
  assert.equal(told(), { type: "metadata-update-finish", deviceNumber: 0, events: 52 });
  const asked = node.calls.filter(({ type }) => type === "outrun");
  assert.equal(asked, [{ type: "outrun", events: 36 }], "before anything is written");
  await node.stop();
});

test("the first update of a forced start is beyond everything that was written elsewhere", async () => {
  // It believes that it is alone already.
  const bytes = image(0, 20, roles(0, MD_DISK_ROLE_FAULTY));
  const copies = { newest: 30, isForced: true, doubt: null };
  const node = await LoneNode.start([bytes], "attic", 0, { copies });
  const { shared } = node;
  assert.is(shared.clean, true, "no write before it");
  const finished = () => node.calls.find(({ type }) => type === "metadata-update-finish");
  await eventually("the first update is told", 10_000, () => {
    node.driver.tick();
    return finished() !== undefined;
  });
  assert.equal(finished(), { type: "metadata-update-finish", deviceNumber: 0, events: 46 });
  const decoded = decodeSuperblock(bytes.subarray(4096, 8192), 8, bytes.length / 512);
  assert.is(decoded.ok && decoded.value.events, 46);
  await eventually("writes may begin", 10_000, () => !shared.clean);
  await node.stop();
});

test.run();
