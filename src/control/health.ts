/**
 * The board's health: one honest sentence, the worst array first, and the list of things that want
 * a person's attention, each with what to do about it.
 */

import { countText } from "../common/count-text.ts";
import type { ArrayHealth } from "../raid/array-status.ts";
import type { ArrayView, HealthReason } from "./array-view.ts";
import { LACKS_COPIES } from "./lacking-copies.ts";
import { subjectOf } from "./subject.ts";
import { survivesNow } from "./survival.ts";

/** One thing to attend to; `subject` is a resource's path. */
export interface Attention {
  readonly severity: "info" | "warning" | "critical";
  readonly code: string;
  readonly message: string;
  readonly subject: string;
  readonly fix: string | null;
}

/** The board's health. */
export interface BoardHealth {
  readonly state: ArrayHealth;
  readonly sentence: string;
  readonly attention: readonly Attention[];
}

/** Worst first. A stopped array is no trouble; one that could not start is. */
const WORST_FIRST: readonly ArrayHealth[] = [
  "failed",
  "inactive",
  "degraded",
  "recovering",
  "unknown",
  "resyncing",
  "building",
  "optimal",
];

const isStopped = (view: ArrayView): boolean =>
  !view.isRunning && view.record.desiredState === "stopped";

const NUMBER_WORDS = ["no", "one", "two", "three", "four", "five"];

/** What may still fail, over all arrays: the weakest one counts. */
const survivalSentence = (views: readonly ArrayView[]): string => {
  const spare = Math.min(...views.map(({ status }) => (status === null ? 0 : survivesNow(status))));
  if (spare === 0) {
    return views.length === 1
      ? "Its last in-sync member must not fail."
      : "One more failure loses an array.";
  }
  const words = NUMBER_WORDS[spare] ?? String(spare);
  if (views.some(({ health }) => health === "building" || health === "resyncing")) {
    // Copies differ still, but not in what a client was told to be written.
    const members = `${words} ${spare === 1 ? "member" : "members"}`;
    const each = views.length === 1 ? "" : " of each";
    return `What clients have written survives the loss of any ${members}${each}.`;
  }
  if (spare === 1) {
    return views.length === 1 ? "Any one member may fail." : "Any one member of each may fail.";
  }
  return views.length === 1
    ? `Any ${words} members may fail.`
    : `Any ${words} members of each may fail.`;
};

const progressOf = (view: ArrayView): string => {
  const sync = view.status?.sync;
  if (sync === null || sync === undefined || sync.totalBytes === 0) {
    return "";
  }
  return ` (${Math.floor((sync.completedBytes / sync.totalBytes) * 100)} %)`;
};

const FIXES: Readonly<Record<HealthReason["code"], string | null>> = {
  "last-member-gone":
    "Copy the content off now, or add a device and let it be rebuilt; do not stop the array before.",
  "array-failed": "Bring back the member that failed last, stop the array and assemble it.",
  "member-failed": "Replace the device: remove the member, then add another device.",
  "member-missing": "Add a device at least as large as the other members.",
  "member-stalled": "Look at the device and its cable; fail the member if it stays silent.",
  "cluster-store-damaged":
    "Put the last value of the key back: which, and how, says “A damaged key” in docs/clustered-arrays.md.",
  "no-spare": "Add a device at least as large as the other members.",
  "not-started": "Bring the missing devices back, then assemble the array.",
  "member-rebuilding": null,
  "initial-resync": null,
  "resync-running": null,
  stopped: null,
};

const isGone = (view: ArrayView): boolean =>
  view.reasons.some(({ code }) => code === "last-member-gone");

/** Why an array does not run where nothing failed to start. */
const NO_FAILED_START: ReadonlyMap<string, string> = new Map([
  ["CONTROL_ARRAY_INCOMPLETE", "is not started"],
  ["CLUSTER_EXPELLED", "does not run here"],
  ["RAID_ARRAY_BROKEN", "does not run here"],
]);

const notStarted = ({ startProblem }: ArrayView): string => {
  const message = startProblem?.message ?? "it is not started yet";
  return `${NO_FAILED_START.get(startProblem?.code ?? "") ?? "could not start"}: ${message}`;
};

/** Of a degraded array: whether its rebuild waits, or is another board's. */
const rebuildOf = ({ status }: ArrayView): string => {
  const isDue = status?.members.some(({ states }) => states.includes("rebuilding")) ?? false;
  if (!isDue) return "nothing is being rebuilt";
  return status?.cluster?.resync == null
    ? "its rebuild has not begun"
    : "another board rebuilds it, or is to";
};

const phrase = (view: ArrayView): string => {
  const gone = view.reasons.find(({ code }) => code === "last-member-gone");
  if (gone !== undefined) {
    return `${view.record.name}: ${gone.message}. ${FIXES["last-member-gone"]}`;
  }
  const { name } = view.record;
  const { raidDevices = 0, members = [], level = "raid1" } = view.status ?? {};
  const word = level === "raid1" ? "copies" : "members";
  const inSync = members.filter(({ states }) => states.includes("in_sync")).length;
  const copies = `${inSync} of ${raidDevices} ${word}`;
  switch (view.health) {
    case "failed":
      return view.status?.arrayState === "broken"
        ? `${name} has failed: its metadata can no longer be written; it stays readable.`
        : `${name} has failed: no in-sync member is left.`;
    case "inactive":
      return `${name} ${notStarted(view)}.`;
    case "degraded":
      return `${name} is degraded: ${copies} in sync and ${rebuildOf(view)}.`;
    case "recovering":
      return `${name} is recovering${progressOf(view)}: ${copies} in sync.`;
    case "resyncing":
      return view.status?.sync === null
        ? `${name} is being resynced by another board, or is to be.`
        : `${name} is resyncing${progressOf(view)}.`;
    case "building":
      return `${name} is building${progressOf(view)} and usable.`;
    case "unknown":
      return `The state of ${name} is unknown.`;
    case "optimal":
      return `${name} is optimal.`;
  }
};

const severityOf = (reason: HealthReason, view: ArrayView): Attention["severity"] | null => {
  switch (reason.code) {
    case "array-failed":
    case "last-member-gone":
    case "cluster-store-damaged":
      return "critical";
    case "not-started":
      return reason.path === null && view.startProblem !== null ? "critical" : null;
    case "member-failed":
    case "member-missing":
    case "member-stalled":
      return "warning";
    case "member-rebuilding":
    case "initial-resync":
    case "resync-running":
      return "info";
    case "no-spare":
    case "stopped":
      return null;
  }
};

/** The board whose disk is at the path, while that board is away; null: it is not so. */
export type AwayBoard = (path: string | null) => string | null;

/** A disk that its board brings back by itself costs a copy of what was written meanwhile alone. */
const memberFix = ({ code, path }: HealthReason, view: ArrayView, away: AwayBoard) => {
  const board = away(path);
  if (code === "member-failed" && board !== null) {
    return `Bring ${board} back: it takes its disk back by itself, and only what was written meanwhile is copied. Replace the device only if ${board} does not come back.`;
  }
  return code === "member-missing" && view.status?.bitmap.type === "clustered"
    ? "If a board or a disk is away, bring it back: it is taken back by itself. Else add a device at least as large as the other members."
    : null;
};

/** A clustered array is tried again by itself: nobody has to assemble it. */
const startFix = ({ code }: HealthReason, { startProblem, status, record }: ArrayView) => {
  const isTried = record.desiredState === "started" && status?.bitmap.type === "clustered";
  if (code !== "not-started" || !isTried || startProblem === null) return null;
  if (startProblem.code === "CLUSTER_STORE_UNREACHABLE")
    return "See to etcd, and to the network between it and this board: the array starts by itself then.";
  return LACKS_COPIES.has(startProblem.code)
    ? "Bring back the boards and disks that are missing: the array starts by itself then."
    : null;
};

const fixOf = (reason: HealthReason, view: ArrayView, away: AwayBoard): string | null =>
  reason.code === "not-started" && view.startProblem?.code === "CONTROL_ARRAY_INCOMPLETE"
    ? "Nothing while disks and boards come up; bring those that do not, or assemble the array without them."
    : (startFix(reason, view) ?? memberFix(reason, view, away) ?? FIXES[reason.code]);

const attentionOf = (view: ArrayView, away: AwayBoard): Attention[] =>
  view.reasons.flatMap((reason) => {
    const severity = severityOf(reason, view);
    return severity === null
      ? []
      : [
          {
            severity,
            code: reason.code,
            message: `${view.record.name}: ${reason.message}`,
            subject: subjectOf("array", view.record.uuid),
            fix: fixOf(reason, view, away),
          },
        ];
  });

/** Data that can still be saved, and only now, comes before what is lost already. */
const rank = (view: ArrayView): number => (isGone(view) ? -1 : WORST_FIRST.indexOf(view.health));

const RANK = { critical: 0, warning: 1, info: 2 } as const;

const isLost = ({ code }: Attention): boolean => code === "quorum-lost" || code === SHUT_OUT;

/** Nothing runs for this board in the cluster any more. */
const SHUT_OUT = "cluster-shut-out";

const lostSentence = (boards: readonly Attention[]): string => {
  const message = boards.find(isLost)?.message;
  return message === undefined ? "" : `${message.charAt(0).toUpperCase()}${message.slice(1)}. `;
};

/** The array serves its clients; what they may need next waits. */
const damageSentence = (views: readonly ArrayView[]): string => {
  const names = views
    .filter(({ reasons }) => reasons.some(({ code }) => code === "cluster-store-damaged"))
    .map(({ record }) => record.name);
  return names.length === 0 ? "" : ` The cluster store is damaged: ${names.join(", ")}.`;
};

const sentenceOf = (views: readonly ArrayView[], stopped: number): string => {
  const tail = stopped === 0 ? "" : ` ${countText(stopped, "array")} stopped by request.`;
  if (views.length === 0) {
    return stopped === 0 ? "No arrays yet." : `No array runs.${tail}`;
  }
  const troubled = views
    .filter((view) => view.health !== "optimal")
    .sort((a, b) => rank(a) - rank(b));
  const [worst] = troubled;
  if (worst === undefined) {
    const head =
      views.length === 1
        ? `Array ${views[0]?.record.name} is optimal.`
        : `All ${views.length} arrays optimal.`;
    return `${head}${damageSentence(views)} ${survivalSentence(views)}${tail}`;
  }
  const others = troubled.length - 1;
  const optimal = views.length - troubled.length;
  const rest = [
    ...(others > 0 ? [`${countText(others, "other array")} not optimal either`] : []),
    ...(optimal > 0 ? [`${countText(optimal, "array")} optimal`] : []),
  ];
  const restSentence = rest.length === 0 ? "" : ` ${rest.join(", ")}.`;
  const running = views.filter((view) => view.isRunning && view.health !== "failed");
  const survival =
    running.length === 0 || worst.health === "failed" || isGone(worst)
      ? ""
      : ` ${survivalSentence(running)}`;
  return `${phrase(worst)}${damageSentence(views)}${survival}${restSentence}${tail}`;
};

/**
 * The verdict over all arrays of the board. `boards`: what of the cluster wants attention; where
 * all I/O waits for it, that is said first. `away`: of other boards' disks, whose board is away.
 */
export function boardHealth(
  arrays: readonly ArrayView[],
  boards: readonly Attention[] = [],
  away: AwayBoard = () => null,
): BoardHealth {
  const stopped = arrays.filter(isStopped);
  const wanted = arrays.filter((view) => !isStopped(view));
  const idle = boards.some(({ code }) => code === SHUT_OUT) ? "inactive" : "optimal";
  const state = WORST_FIRST.find((health) => wanted.some((view) => view.health === health)) ?? idle;
  return {
    state,
    sentence: `${lostSentence(boards)}${sentenceOf(wanted, stopped.length)}`,
    // What stops everything comes before what it stops.
    attention: [
      ...boards.filter(isLost),
      ...wanted.flatMap((view) => attentionOf(view, away)),
      ...boards.filter((one) => !isLost(one)),
    ].sort((a, b) => RANK[a.severity] - RANK[b.severity]),
  };
}
