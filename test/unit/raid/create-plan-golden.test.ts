/**
 * `create` against everything recorded of `mdadm --create`: with the same arguments, sizes, UUIDs
 * and time we plan exactly the sectors that mdadm wrote, and refuse what it refused.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { toCreateOptions } from "../../../src/cli/create-options.ts";
import { CodedError } from "../../../src/common/errors.ts";
import type { CreateMember, CreateOptions, CreatePlanned } from "../../../src/raid/create-plan.ts";
import { planCreate } from "../../../src/raid/create-plan.ts";
import { parseSuperblock } from "../../../src/raid/superblock.ts";
import type { Superblock } from "../../../src/raid/superblock-fields.ts";
import {
  type RecordedCreate,
  type RecordedMember,
  readRecordedCreates,
} from "../../helpers/golden-bytes.ts";

const test = suite("golden mdadm --create");

/** Where we differ on purpose, and why. */
const OUR_REFUSALS: Readonly<Record<string, string>> = {
  // mdadm makes an array of no size here.
  "r1-1.0-none-64k": "RAID_MEMBER_TOO_SMALL",
  // The kernel's map of slots to recover has 64 bits.
  "cl-r1-65-64m": "CLI_BAD_USAGE",
};

for (const recorded of readRecordedCreates()) {
  const ours = OUR_REFUSALS[recorded.name];
  if (recorded.refused !== undefined || ours !== undefined) {
    test(`${recorded.name} is refused`, () => {
      const code = refusalOf(recorded);
      assert.ok(code !== null, "was planned");
      if (ours !== undefined) assert.is(code, ours);
    });
  } else {
    test(`${recorded.name} writes mdadm's sectors`, () => {
      const planned = plan(recorded);
      assert.ok(planned.ok, JSON.stringify(planned));
      if (!planned.ok) return;
      for (const [index, member] of recorded.members.entries()) {
        const writes = planned.value.members[index]?.writes ?? [];
        assert.equal(plannedSectors(writes), recordedSectors(member), `member ${index}`);
      }
    });
  }
}

function refusalOf(recorded: RecordedCreate): string | null {
  try {
    const planned = plan(recorded);
    return planned.ok ? null : planned.code;
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
}

function plan(recorded: RecordedCreate): CreatePlanned {
  const superblocks = recorded.members.map((member) => superblockOf(member));
  const first = superblocks.find((sb) => sb !== null);
  return planCreate(
    optionsOf(recorded.args, first ?? null),
    recorded.members.map((member, index): CreateMember => {
      if (member === null) return "missing";
      const deviceUuid = superblocks[index]?.deviceUuid ?? new Uint8Array(16);
      return { path: `/dev/d${index}`, sizeBytes: member.sizeBytes, deviceUuid, stale: [] };
    }),
  );
}

/** mdadm's arguments as ours; the recorded host was called lab, the device md0. */
function optionsOf(args: string, sb: Superblock | null): CreateOptions {
  const words = new Map(
    args.split(" ").map((word) => {
      const [name = "", value] = word.replace(/^--/, "").split("=");
      return [
        name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()),
        value ?? true,
      ];
    }),
  );
  const { delay, ...typed } = Object.fromEntries(words);
  const isClustered = typed["bitmap"] === "clustered";
  const options = toCreateOptions(
    {
      level: "",
      raidDevices: "",
      bitmap: "",
      spareDevices: "0",
      metadata: "1.2",
      name: "0",
      homehost: "lab",
      ...(isClustered ? { homeCluster: "labcluster" } : {}),
      ...typed,
    },
    sb?.ctime.seconds ?? 0,
  );
  return {
    ...options,
    setUuid: sb?.setUuid ?? options.setUuid,
    bitmapDelaySeconds: Number(delay ?? options.bitmapDelaySeconds),
  };
}

function superblockOf(member: RecordedMember | null): Superblock | null {
  for (const { bytes } of member?.runs ?? []) {
    const parsed = parseSuperblock(bytes);
    if (parsed.ok) return parsed.value.value;
  }
  return null;
}

/** Sector number to its bytes, as text. */
function recordedSectors(member: RecordedMember | null): Map<number, string> {
  const sectors = new Map<number, string>();
  for (const { sector, count, bytes } of member?.runs ?? []) {
    for (let at = 0; at < count; at += 1) sectors.set(sector + at, hex(bytes));
  }
  return ordered(sectors);
}

function plannedSectors(
  writes: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
): Map<number, string> {
  const sectors = new Map<number, string>();
  for (const { offset, bytes } of writes) {
    for (let at = 0; at < bytes.length; at += 512) {
      sectors.set((offset + at) / 512, hex(bytes.subarray(at, at + 512)));
    }
  }
  return ordered(sectors);
}

function ordered(sectors: ReadonlyMap<number, string>): Map<number, string> {
  return new Map([...sectors].sort(([a], [b]) => a - b));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

test.run();
