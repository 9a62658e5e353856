/**
 * How to read an array on any Linux PC with mdadm, without this software: the exact commands, in
 * order, with the array's UUID and each member. Pure; what the disks hold is standard md.
 *
 * Source: mdadm.8 (--assemble, --readonly, --run, --update=no-bitmap, --stop), losetup.8, mount.8.
 */

/** A member as the commands name it. Sizes and offsets in bytes. */
export interface RescueMember {
  readonly raidSlot: number | null;
  readonly deviceId: string | null;
  readonly path: string;
  readonly kind: "file" | "block";
  readonly sizeBytes: number;
  /** In mdadm's form, as `mdadm --examine` prints it. */
  readonly deviceUuid: string | null;
  readonly dataOffset: number | null;
  readonly states: readonly string[];
  /** Shell variable that names it in the commands. */
  readonly variable: string;
}

/** What the commands are made from. `members`: usable ones only, faulty ones left out. */
export interface RescueFacts {
  readonly arrayId: string;
  readonly name: string;
  /** What the board's commands call it: its name, or its uuid where others have that name. */
  readonly handle: string;
  /** In mdadm's form. */
  readonly uuid: string;
  readonly level: string;
  readonly raidDevices: number;
  readonly sizeBytes: number;
  readonly isRunning: boolean;
  readonly isClustered: boolean;
  readonly members: readonly Omit<RescueMember, "variable">[];
  /** Paths of faulty members, to be left out. */
  readonly faulty: readonly string[];
}

/** One step. */
export interface RescueStep {
  readonly id:
    | "stop"
    | "devices"
    | "examine"
    | "assemble"
    | "degraded"
    | "mount"
    | "single"
    | "release"
    | "write"
    | "back";
  readonly title: string;
  readonly note: string;
  readonly commands: readonly string[];
}

/** The whole guide. */
export interface RescueGuide {
  readonly facts: RescueFacts;
  /** Where the PC's kernel shows the array. */
  readonly mdDevice: string;
  readonly members: readonly RescueMember[];
  readonly steps: readonly RescueStep[];
}

/** `word` for a shell, quoted when it has to be. */
const shellWord = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** What mdadm needs of the array to be sure it is this one. */
interface Words {
  readonly target: string;
  readonly variables: string;
  readonly run: string;
  readonly update: string;
}

const deviceStep = (facts: RescueFacts, members: readonly RescueMember[]): RescueStep => ({
  id: "devices",
  title: "Name the members",
  note: [
    "On the PC the paths may be others: find each disk by its Device UUID in the list of the next step.",
    ...(members.some(({ kind }) => kind === "file")
      ? ["A member that is a file becomes a block device by losetup."]
      : []),
    ...facts.faulty.map((path) => `${path} is faulty: leave it out.`),
  ].join(" "),
  commands: members.map(({ variable, kind, path }) =>
    kind === "file"
      ? `${variable}=$(losetup --find --show ${shellWord(path)})`
      : `${variable}=${shellWord(path)}`,
  ),
});

const assembleSteps = (facts: RescueFacts, words: Words): RescueStep[] => {
  const { target, variables, run, update } = words;
  const assemble = `mdadm --assemble --readonly${update}`;
  const note = facts.isClustered
    ? "A plain PC is in no cluster, so the clustered bitmap is taken out first; that is the one thing written."
    : "Read-only: nothing is written to the members.";
  return [
    {
      id: "assemble",
      title: "Assemble it read-only",
      note,
      commands: [`${assemble}${run} ${target} ${variables}`],
    },
    ...(facts.raidDevices > 1 && run === ""
      ? [
          {
            id: "degraded" as const,
            title: "Only if members are missing",
            note: "--run starts it with those that are there, as long as they hold a copy of everything.",
            commands: [`${assemble} --run ${target} ${variables}`],
          },
        ]
      : []),
  ];
};

/** raid1: the content lies on each member in one piece. */
const singleSteps = (facts: RescueFacts, members: readonly RescueMember[]): RescueStep[] => {
  const whole = members.find(
    ({ states, dataOffset }) => states.includes("in_sync") && dataOffset !== null,
  );
  if (facts.level !== "raid1" || whole === undefined) {
    return [];
  }
  const range = `--offset ${whole.dataOffset} --sizelimit ${facts.sizeBytes}`;
  return [
    {
      id: "single",
      title: "Without md at all: one member, read-only",
      note: "A raid1 member holds the whole content behind its data offset.",
      commands: [`losetup --find --show --read-only ${range} ${shellWord(whole.path)}`],
    },
  ];
};

const releaseCommands = (mdDevice: string, members: readonly RescueMember[]): string[] => [
  "umount /mnt",
  `mdadm --stop ${mdDevice}`,
  ...members
    .filter(({ kind }) => kind === "file")
    .map(({ variable }) => `losetup --detach "$${variable}"`),
];

const backSteps = (facts: RescueFacts, members: readonly RescueMember[]): RescueStep[] => {
  const name = shellWord(facts.handle);
  const paths = members.map(({ path }) => shellWord(path)).join(" ");
  return [
    {
      id: "back",
      title: "Move it back",
      note: "What was written on the PC is taken over; a member left behind is re-added by the bitmap or rebuilt.",
      commands: [
        `satsuma assemble ${name}`,
        `satsuma import ${paths}   # when the board does not know the array`,
        ...(facts.isClustered ? [`satsuma grow ${name} --bitmap clustered`] : []),
      ],
    },
  ];
};

/** The guide of an array. */
export function rescueGuide(facts: RescueFacts): RescueGuide {
  const safeName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(facts.name) ? facts.name : "rescued";
  const mdDevice = `/dev/md/${safeName}`;
  const members = facts.members.map((member, index) => ({ ...member, variable: `M${index}` }));
  const slots = new Set(
    members.filter(({ states }) => states.includes("in_sync")).map(({ raidSlot }) => raidSlot),
  );
  const words: Words = {
    target: `${mdDevice} --uuid=${facts.uuid}`,
    variables: members.map(({ variable }) => `"$${variable}"`).join(" "),
    run: slots.size < facts.raidDevices ? " --run" : "",
    update: facts.isClustered ? " --update=no-bitmap" : "",
  };
  const where = facts.isClustered ? "every board" : "the board";
  const steps: RescueStep[] = [
    {
      id: "stop",
      title: `Stop the array on ${where}`,
      note: "It may run in one place at a time.",
      commands: facts.isRunning ? [`satsuma stop ${shellWord(facts.handle)}`] : [],
    },
    deviceStep(facts, members),
    {
      id: "examine",
      title: "See what they hold",
      note: `Array UUID ${facts.uuid}.`,
      commands: ["mdadm --examine --scan --verbose", `mdadm --examine ${words.variables}`],
    },
    ...assembleSteps(facts, words),
    {
      id: "mount",
      title: "Read it",
      note: "If it holds a file system. A partition table shows as further devices.",
      commands: [`mount -o ro ${mdDevice} /mnt`],
    },
    ...singleSteps(facts, members),
    {
      id: "release",
      title: "Let go of it",
      note: "",
      commands: releaseCommands(mdDevice, members),
    },
    {
      id: "write",
      title: "To go on with it on the PC",
      note: "Linux md then writes to the members as it does to any array.",
      commands: [`mdadm --assemble${words.update}${words.run} ${words.target} ${words.variables}`],
    },
    ...backSteps(facts, members),
  ];
  return { facts, mdDevice, members, steps };
}

const memberLine = (member: RescueMember): string => {
  const slot = member.raidSlot === null ? "spare" : `raid slot ${member.raidSlot}`;
  const uuid = member.deviceUuid === null ? "" : `, Device UUID ${member.deviceUuid}`;
  const offset = member.dataOffset === null ? "" : `, data at byte ${member.dataOffset}`;
  return `#   ${member.variable}: ${slot}, ${member.path} (${member.sizeBytes} bytes)${uuid}${offset}`;
};

/** The guide as a text whose lines are commands or comments of a shell. */
export function rescueText({ facts, members, steps }: RescueGuide): string {
  const head = [
    `# ${facts.name}: ${facts.level}, ${facts.raidDevices} raid devices, ${facts.sizeBytes} bytes`,
    `# UUID ${facts.uuid}`,
    "# As root, on any Linux with mdadm. Members:",
    ...members.map(memberLine),
  ];
  const body = steps
    .filter(({ commands }) => commands.length > 0)
    .flatMap(({ title, note, commands }) => [
      "",
      `# ${title}`,
      ...(note === "" ? [] : [`# ${note}`]),
      ...commands,
    ]);
  return `${[...head, ...body].join("\n")}\n`;
}
