/**
 * Arrays that Satsuma's engine makes for Linux to take over, in every state it can leave one in.
 */
import type { RunningArray } from "../../src/control/engine.ts";
import { CRAWL, KIB, type MdScenario, MIB } from "./md-scenario.ts";
import { eventually } from "./timeout.ts";

export interface OurStory {
  readonly name: string;
  /** Told in every test run, not only by `npm run lab`. */
  readonly everyRun?: boolean;
  /** `kill`: the process that runs the array is killed by SIGKILL. */
  readonly end: "stop" | "kill";
  /** What `mdadm --examine` must say of one member at least: the state the story is about. */
  readonly shows?: RegExp;
  /** Raid slots without a member once Linux has settled. */
  readonly degraded?: number;
  /** Lets things happen to an array, and leaves it running; everything it holds is known. */
  readonly tell: (md: MdScenario) => Promise<ToldArray>;
}

export interface ToldArray {
  readonly array: RunningArray;
  /** What Linux gets. */
  readonly members: readonly string[];
}

type CreateOver = NonNullable<Parameters<MdScenario["create"]>[1]>;

const CHUNK = { bitmapChunkBytes: 64 * KIB } as const;
const BITMAP = { type: "bitmap", nodes: 0, clusterName: "" } as const;

/** An array in sync, written all over. */
const whole = async (
  md: MdScenario,
  count: number,
  over: CreateOver = {},
  sizeMib = 8,
): Promise<ToldArray> => {
  const members = md.disks(count, sizeMib);
  const array = await md.create(members, { ...CHUNK, ...over });
  await md.write();
  await md.settled(array);
  return { array, members };
};

/** The same, with what follows done to it. */
const then =
  (
    count: number,
    over: CreateOver,
    steps: (md: MdScenario, told: ToldArray) => Promise<ToldArray | undefined>,
  ) =>
  async (md: MdScenario): Promise<ToldArray> => {
    const told = await whole(md, count, over);
    return (await steps(md, told)) ?? told;
  };

const leave = async (array: RunningArray, path = ""): Promise<void> => {
  await array.fail(path);
  await array.remove(path);
};

/** A recovery of another member that does not end by itself. */
const recovering = (over: CreateOver, count: number) =>
  then(count, over, async (md, { array, members: [first = "", second = "", ...others] }) => {
    const [fresh = ""] = md.disks(1, 8, "fresh");
    await leave(array, second);
    await array.setSyncSpeed(CRAWL);
    await array.add(fresh, { force: true });
    await md.running(array, "recover");
    await md.write(MIB, 128 * KIB);
    return { array, members: [first, fresh, ...others] };
  });

const replacing = (over: CreateOver, count: number) =>
  then(count, over, async (md, { array, members: [first = ""] }) => {
    await array.setSyncSpeed(CRAWL);
    await array.replace(first, null);
    await md.running(array, "recover");
    await md.write(MIB, 128 * KIB);
    return undefined;
  });

/** Bits set, superblocks dirty, and killed before they are clean. */
const dirty = (count: number, over: CreateOver) =>
  then(count, over, async (md) => {
    await md.write(MIB, 512 * KIB);
    return undefined;
  });

const raid10 = (layout: string): CreateOver => ({
  level: "raid10",
  layout,
  chunkBytes: 64 * KIB,
});

const CREATED: readonly OurStory[] = [
  ...(["1.0", "1.1", "1.2"] as const).map(
    (metadata): OurStory => ({
      name: `created, ${metadata}`,
      end: "stop",
      tell: (md) => whole(md, 2, { metadata }),
    }),
  ),
  { name: "three members, no bitmap", end: "stop", tell: (md) => whole(md, 3, { bitmap: "none" }) },
  ...["n2 3", "n3 5", "f2 3", "f2 5", "o2 3", "o2 5", "f3 4", "o3 4"].map((words): OurStory => {
    const [layout = "", members = ""] = words.split(" ");
    return {
      name: `raid10 ${layout} of ${members}`,
      end: "stop",
      tell: (md) => whole(md, Number(members), raid10(layout)),
    };
  }),
  {
    name: "write-mostly and failfast",
    end: "stop",
    shows: /Flags : write-mostly/,
    tell: async (md) => {
      const members = md.disks(3, 8);
      const [first = "", , last = ""] = members;
      const array = await md.create(members, { failfast: [first], writeMostly: [last] });
      await md.write();
      await md.settled(array, "UUU");
      return { array, members };
    },
  },
  {
    name: "first resync interrupted",
    end: "stop",
    tell: async (md) => {
      const members = md.disks(2, 8);
      const array = await md.create(members, CHUNK, CRAWL);
      await md.write();
      return { array, members };
    },
  },
];

const MEMBERS: readonly OurStory[] = [
  {
    name: "degraded",
    end: "stop",
    degraded: 1,
    tell: then(3, {}, async (md, { array, members: [first = ""] }) => {
      await array.fail(first);
      await md.write(MIB, 256 * KIB);
      return undefined;
    }),
  },
  {
    name: "raid10 degraded to what its layout allows",
    end: "stop",
    degraded: 2,
    tell: then(4, raid10("n2"), async (md, { array, members: [first = "", , third = ""] }) => {
      await array.fail(first);
      await array.fail(third);
      await md.write(MIB, 256 * KIB);
      return undefined;
    }),
  },
  {
    name: "recovered on a spare",
    end: "stop",
    tell: then(3, { raidDevices: 2 }, async (md, { array, members: [first = ""] }) => {
      await array.fail(first);
      await md.settled(array, "UU");
      await md.write(MIB, 256 * KIB);
      return undefined;
    }),
  },
  {
    name: "recovery interrupted by a stop",
    everyRun: true,
    end: "stop",
    shows: /Recovery Offset : \d+/,
    tell: recovering({}, 2),
  },
  {
    name: "recovery interrupted by a kill",
    end: "kill",
    shows: /Recovery Offset : \d+/,
    tell: recovering({ bitmap: "none" }, 2),
  },
  {
    name: "raid10 recovery interrupted by a kill",
    end: "kill",
    shows: /Recovery Offset : \d+/,
    tell: recovering(raid10("f2"), 4),
  },
  {
    name: "re-added",
    everyRun: true,
    end: "stop",
    tell: then(2, {}, async (md, { array, members: [, second = ""] }) => {
      await leave(array, second);
      await md.write(MIB, 256 * KIB);
      await array.reAdd(second);
      await md.settled(array, "UU");
      return undefined;
    }),
  },
  {
    name: "re-add interrupted by a kill",
    end: "kill",
    tell: then(2, {}, async (md, { array, members: [, second = ""] }) => {
      await leave(array, second);
      await md.write(MIB, 4 * MIB);
      await array.setSyncSpeed(CRAWL);
      await array.reAdd(second);
      await md.running(array, "recover");
      await md.write(3 * MIB, 256 * KIB);
      return undefined;
    }),
  },
  {
    name: "replaced",
    end: "stop",
    tell: then(3, { raidDevices: 2 }, async (md, { array, members: [first = "", ...others] }) => {
      await array.replace(first, null);
      await eventually("it is replaced", 30_000, () =>
        md.bench.happenings.some(({ type }) => type === "member.replaced"),
      );
      await array.remove(first);
      await md.write(MIB, 256 * KIB);
      return { array, members: others };
    }),
  },
  {
    name: "replacement interrupted by a stop",
    everyRun: true,
    end: "stop",
    shows: /Array State : RA/,
    tell: replacing({ raidDevices: 2 }, 3),
  },
  {
    name: "raid10 replacement interrupted by a kill",
    end: "kill",
    shows: /Array State : RAA/,
    tell: replacing({ ...raid10("o2"), raidDevices: 3 }, 4),
  },
  {
    name: "bad blocks on one member",
    everyRun: true,
    end: "stop",
    shows: /Bad Block Log : .* bad blocks present/,
    tell: then(2, {}, async (md, { array, members: [, second = ""] }) => {
      const range = { offset: 3 * MIB, length: 8 * KIB };
      await md.bench.fault(second, "write-error", null, range);
      await md.write();
      await eventually("they are noted", 30_000, () =>
        array.status.members.some(({ badBlocks }) => badBlocks > 0),
      );
      return undefined;
    }),
  },
];

const CHANGED: readonly OurStory[] = [
  {
    name: "grown in size",
    end: "stop",
    tell: async (md) => {
      const members = md.disks(2, 10);
      const array = await md.create(members, { ...CHUNK, sizeBytes: 4 * MIB });
      await md.write();
      await md.settled(array, "UU");
      md.detach();
      await array.change({ type: "size", sizeBytes: "max" });
      await md.settled(array, "UU");
      await md.learn();
      await md.write(6 * MIB, 256 * KIB);
      return { array, members };
    },
  },
  {
    name: "grown by a leg, killed",
    end: "kill",
    tell: then(3, { raidDevices: 2 }, async (md, { array }) => {
      await array.change({ type: "raid-devices", count: 3 });
      await md.settled(array, "UUU");
      await md.write(MIB, 256 * KIB);
      return undefined;
    }),
  },
  {
    name: "a bitmap added, then of other chunks",
    end: "stop",
    tell: then(2, { bitmap: "none", metadata: "1.0" }, async (md, { array }) => {
      await array.change({ ...BITMAP, bitmap: "internal", chunkBytes: 64 * KIB });
      await md.write(MIB, 256 * KIB);
      await array.change({ ...BITMAP, bitmap: "internal", chunkBytes: 16 * KIB });
      await md.write(2 * MIB, 256 * KIB);
      return undefined;
    }),
  },
  {
    name: "the bitmap taken away, killed",
    end: "kill",
    shows: /State : active/,
    tell: then(2, {}, async (md, { array }) => {
      await array.change({ ...BITMAP, bitmap: "none", chunkBytes: null });
      await md.write(MIB, 256 * KIB);
      return undefined;
    }),
  },
  {
    name: "another name",
    end: "stop",
    shows: /Name : bench:attic/,
    tell: then(2, {}, async (_, { array }) => {
      await array.change({ type: "name", name: "attic" });
      return undefined;
    }),
  },
];

const DIRTY: readonly OurStory[] = [
  { name: "dirty with a bitmap", everyRun: true, end: "kill", tell: dirty(2, {}) },
  { name: "dirty without a bitmap", end: "kill", tell: dirty(3, { bitmap: "none" }) },
  ...["n2", "f2", "o2"].map(
    (layout): OurStory => ({
      name: `raid10 ${layout}, dirty`,
      everyRun: layout === "f2",
      end: "kill",
      tell: dirty(3, raid10(layout)),
    }),
  ),
  {
    name: "degraded and dirty",
    end: "kill",
    degraded: 1,
    tell: then(2, {}, async (md, { array, members: [first = ""] }) => {
      await array.fail(first);
      await md.write(MIB, 256 * KIB);
      return undefined;
    }),
  },
].map((story): OurStory => ({ ...story, shows: /State : active/ }) as OurStory);

export const OUR_STORIES: readonly OurStory[] = [...CREATED, ...MEMBERS, ...CHANGED, ...DIRTY];
