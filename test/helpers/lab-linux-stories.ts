/** Arrays that Linux makes for Satsuma to take over, in every state md can leave one in. */
import type { LinuxStory } from "./lab-batch.ts";

const TWO = [10, 10];
const THREE = [10, 10, 10];
const MIRROR = "--level=1 --raid-devices=2";
const WITH_BITMAP = `${MIRROR} --bitmap=internal --bitmap-chunk=64`;
const THREE_WAY = "--level=1 --raid-devices=3 --bitmap=internal --bitmap-chunk=64";

const raid10 = (layout: string, members: number, more = "--bitmap=internal"): string =>
  `--level=10 --layout=${layout} --raid-devices=${members} --chunk=64 ${more}`;
const disks = (count: number): readonly number[] => Array.from({ length: count }, () => 8);

/** Out, and what it held is forgotten. */
const BLANK = "mdadm $MD --fail $D1; mdadm $MD --remove $D1; mdadm --zero-superblock $D1";
const DIRTY = "echo 0 >$SYS/safe_mode_delay; fill; patch 1024 256";

export const LINUX_STORIES: readonly LinuxStory[] = [
  // Created.
  { name: "raid1 1.0", disks: TWO, create: `${WITH_BITMAP} --metadata=1.0`, end: "stop" },
  { name: "raid1 1.1", disks: TWO, create: `${MIRROR} --metadata=1.1`, end: "stop" },
  { name: "raid1 of uneven members", disks: [10, 12, 11], create: THREE_WAY, end: "stop" },
  {
    name: "raid1 with flags",
    disks: THREE,
    create: THREE_WAY,
    devices: "--failfast $D0 $D1 --write-mostly $D2",
    end: "stop",
  },
  {
    name: "raid1 with a missing member",
    disks: [10],
    create: WITH_BITMAP,
    devices: "missing $D0",
    end: "stop",
  },
  ...(["n2 3", "n3 5", "f2 3", "f2 5", "o2 3", "o2 5", "f3 4", "o3 4"] as const).map(
    (words): LinuxStory => {
      const [layout = "", members = ""] = words.split(" ");
      return {
        name: `raid10 ${layout} of ${members}`,
        everyRun: words === "f2 3",
        disks: disks(Number(members)),
        create: raid10(layout, Number(members)),
        end: "stop",
      };
    },
  ),
  // Interrupted.
  {
    name: "first resync interrupted",
    disks: TWO,
    create: WITH_BITMAP,
    early: true,
    steps: "slow; fill; patch 512 64",
    shows: /State : clean|active/,
    end: "stop",
  },
  {
    name: "recovery interrupted by a stop",
    everyRun: true,
    disks: TWO,
    create: MIRROR,
    steps: `fill; ${BLANK}; slow; mdadm $MD --add $D1; running; patch 1024 64`,
    shows: /Recovery Offset : [1-9]/,
    end: "stop",
  },
  {
    name: "recovery interrupted by a power cut",
    disks: TWO,
    create: WITH_BITMAP,
    steps: `fill; ${BLANK}; slow; mdadm $MD --add $D1; running; patch 1024 64`,
    shows: /Recovery Offset : \d+/,
    end: "crash",
  },
  {
    name: "raid10 recovery interrupted by a stop",
    disks: disks(4),
    create: raid10("f2", 4),
    steps: `fill; ${BLANK}; slow; mdadm $MD --add $D1; running; patch 1024 64`,
    shows: /Recovery Offset : [1-9]/,
    end: "stop",
  },
  {
    name: "re-add interrupted",
    disks: TWO,
    create: WITH_BITMAP,
    steps: `fill; sleep 1; mdadm $MD --fail $D1; mdadm $MD --remove $D1; patch 2048 4096; slow
      mdadm $MD --re-add $D1; running`,
    shows: /Recovery Offset|bitmap/,
    end: "stop",
  },
  {
    name: "replacement interrupted",
    everyRun: true,
    disks: THREE,
    create: `${WITH_BITMAP} --spare-devices=1`,
    steps: "fill; slow; mdadm $MD --replace $D0; running; patch 1024 64",
    shows: /Array State : RA/,
    end: "stop",
  },
  {
    name: "raid10 replacement interrupted by a power cut",
    disks: disks(4),
    create: `${raid10("o2", 3)} --spare-devices=1`,
    steps: "fill; slow; mdadm $MD --replace $D0; running; patch 1024 64",
    shows: /Array State : RAA/,
    end: "crash",
  },
  // Degraded, recovered, re-added, replaced, grown.
  {
    name: "degraded, the failed one still there",
    disks: THREE,
    create: THREE_WAY,
    steps: "fill; mdadm $MD --fail $D0; patch 1024 512",
    end: "stop",
  },
  {
    name: "a spare took over",
    disks: THREE,
    create: `${WITH_BITMAP} --spare-devices=1`,
    steps: "fill; mdadm $MD --fail $D0; settle; patch 1024 512",
    end: "stop",
  },
  {
    name: "re-added",
    disks: TWO,
    create: WITH_BITMAP,
    steps: `fill; mdadm $MD --fail $D1; mdadm $MD --remove $D1; patch 1024 512
      mdadm $MD --re-add $D1; settle`,
    end: "stop",
  },
  {
    name: "replaced",
    disks: THREE,
    create: `${WITH_BITMAP} --spare-devices=1`,
    steps: "fill; mdadm $MD --replace $D0; settle; patch 1024 64",
    end: "stop",
  },
  {
    name: "grown in size",
    disks: TWO,
    create: `${WITH_BITMAP} --size=4096`,
    steps: "fill; mdadm --grow $MD --size=max; settle; patch 6144 512",
    end: "stop",
  },
  {
    name: "grown by a leg, a bitmap added later",
    disks: THREE,
    create: `${MIRROR} --spare-devices=1`,
    steps: `fill; mdadm --grow $MD --raid-devices=3; settle
      mdadm --grow $MD --bitmap=internal --bitmap-chunk=64; patch 1024 64`,
    end: "stop",
  },
  {
    name: "raid10 degraded to what its layout allows",
    disks: disks(4),
    create: raid10("n2", 4),
    steps: "fill; mdadm $MD --fail $D0 $D2; patch 1024 512",
    end: "stop",
  },
  // Bad blocks.
  {
    name: "bad blocks on one member",
    everyRun: true,
    disks: TWO,
    create: WITH_BITMAP,
    steps: `fill
      echo "4096 64" >$SYS/dev-\${D1#/dev/}/bad_blocks; patch 4096 64; sleep 0.5`,
    shows: /Bad Block Log : .* bad blocks present/,
    end: "stop",
  },
  // Dirty.
  {
    name: "dirty with a bitmap",
    everyRun: true,
    disks: TWO,
    create: WITH_BITMAP,
    steps: DIRTY,
    shows: /State : active/,
    end: "crash",
  },
  {
    name: "dirty without a bitmap",
    disks: THREE,
    create: "--level=1 --raid-devices=3",
    steps: DIRTY,
    shows: /State : active/,
    end: "crash",
  },
  {
    name: "degraded and dirty",
    disks: TWO,
    create: WITH_BITMAP,
    steps: `mdadm $MD --fail $D0; ${DIRTY}`,
    shows: /State : active/,
    end: "crash",
  },
  ...(["n2", "f2", "o2"] as const).map(
    (layout): LinuxStory => ({
      name: `raid10 ${layout}, dirty`,
      everyRun: layout === "n2",
      disks: disks(3),
      create: raid10(layout, 3),
      steps: DIRTY,
      shows: /State : active/,
      end: "crash",
    }),
  ),
];
