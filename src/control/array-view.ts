/**
 * An array as control shows it: the record of the registry, the newest status, why it does not run
 * when it does not, and the reasons behind its health. One verdict: nobody else judges health.
 */

import type { ArrayHealth, ArrayStatus, MemberStatus } from "../raid/array-status.ts";
import type { ArrayRecord } from "../store/array-registry.ts";

/** Why a start was refused, as a whole and per member. */
export interface StartProblem {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly members: readonly { readonly path: string; readonly reason: string }[];
}

/** One reason for a health that is not optimal. `path` names a member, `since` is ms or null. */
export interface HealthReason {
  readonly code:
    | "member-failed"
    | "member-missing"
    | "member-rebuilding"
    | "member-stalled"
    | "cluster-store-damaged"
    | "no-spare"
    | "initial-resync"
    | "resync-running"
    | "array-failed"
    | "last-member-gone"
    | "stopped"
    | "not-started";
  readonly message: string;
  readonly raidSlot: number | null;
  readonly path: string | null;
  readonly since: number | null;
}

/** An array, running or not. `status` is the last one known when it does not run. */
export interface ArrayView {
  readonly record: ArrayRecord;
  readonly isRunning: boolean;
  readonly status: ArrayStatus | null;
  readonly startProblem: StartProblem | null;
  readonly health: ArrayHealth;
  readonly reasons: readonly HealthReason[];
}

type Reason = Omit<HealthReason, "since"> & { readonly since?: number };

const memberReason = (member: MemberStatus, reason: Pick<Reason, "code" | "message">): Reason => ({
  ...reason,
  raidSlot: member.raidSlot,
  path: member.path,
  ...(member.stalledSince !== null && reason.code === "member-stalled"
    ? { since: member.stalledSince }
    : {}),
});

const label = (member: MemberStatus): string => member.path ?? `raid slot ${member.raidSlot}`;

/** A member that the array cannot do without and that is gone from its path. */
const isGone = (member: MemberStatus): boolean =>
  member.path !== null && member.states.includes("missing");

/** The status with `missing` beside the states of members that are gone from their paths. */
export function withLosses(status: ArrayStatus, lost: ReadonlyMap<string, string>): ArrayStatus {
  if (lost.size === 0) return status;
  const members = status.members.map((member): MemberStatus => {
    const reason = lost.get(member.path ?? "");
    return reason === undefined || member.states.includes("faulty")
      ? member
      : { ...member, states: [...member.states, "missing"], faultReason: reason };
  });
  return { ...status, members };
}

const memberReasons = (member: MemberStatus): Reason[] => {
  const reasons: Reason[] = [];
  if (member.states.includes("faulty")) {
    const why = member.faultReason === null ? "" : `: ${member.faultReason}`;
    const message = `${label(member)} failed${why}`;
    reasons.push(memberReason(member, { code: "member-failed", message }));
  } else if (isGone(member)) {
    const why = member.faultReason ?? "the path is gone";
    const message = `the file of its last in-sync member is gone: ${label(member)}: ${why}; what is written goes to the file that is still open and ends with the array`;
    reasons.push(memberReason(member, { code: "last-member-gone", message }));
  } else if (member.states.includes("missing") || member.states.includes("removed")) {
    const message = `raid slot ${member.raidSlot} has no member`;
    reasons.push(memberReason(member, { code: "member-missing", message }));
  } else if (member.states.includes("rebuilding")) {
    const message = `${label(member)} is being rebuilt`;
    reasons.push(memberReason(member, { code: "member-rebuilding", message }));
  }
  if (member.stalledSince !== null) {
    const message = `${label(member)} does not answer`;
    reasons.push(memberReason(member, { code: "member-stalled", message }));
  }
  return reasons;
};

const whole = (code: Reason["code"], message: string): Reason => ({
  code,
  message,
  raidSlot: null,
  path: null,
});

const isLoudest = ({ code }: Reason): boolean => code === "last-member-gone";

/** The reasons for the health of a running array, worst first. */
function runningReasons(status: ArrayStatus): Reason[] {
  // A faulty member leaves its raid slot empty: one failure is told once.
  let told = status.members.filter((member) => member.states.includes("faulty")).length;
  const reasons = status.members.flatMap(memberReasons).filter(({ code }) => {
    const isTold = code === "member-missing" && told > 0;
    told -= isTold ? 1 : 0;
    return !isTold;
  });
  reasons.sort((a, b) => Number(isLoudest(b)) - Number(isLoudest(a)));
  if (status.health === "failed") {
    const text =
      status.arrayState === "broken"
        ? "its metadata can no longer be written: writes fail, reads go on"
        : "no in-sync member is left: reads and writes fail";
    reasons.unshift(whole("array-failed", text));
  }
  if (status.sync?.action === "resync") {
    const why =
      status.sync.reason === "array-changed" ? "a change of the array" : "an unclean stop";
    reasons.push(
      status.sync.reason === "initial"
        ? whole("initial-resync", "the first resync makes the copies equal; the array is usable")
        : whole("resync-running", `copies are made equal after ${why}`),
    );
  }
  if (status.health === "optimal" && isResyncedElsewhere(status)) {
    reasons.push(whole("resync-running", "copies are made equal, by another board or after it"));
  }
  const damaged = status.peers?.damaged ?? [];
  if (damaged.length > 0) {
    const keys = damaged.map(({ key, code }) => `${key} (${code})`).join(", ");
    const text = `the cluster store holds something else in ${keys}: what needs it waits`;
    reasons.push(whole("cluster-store-damaged", text));
  }
  const isComing = status.members.some(({ states }) => states.includes("spare"));
  if (status.health === "degraded" && !isComing) {
    reasons.push(whole("no-spare", "nothing is being rebuilt: no spare is there"));
  }
  return reasons;
}

/** Copies may differ until another board has made them equal, or lets this one do it. */
const isResyncedElsewhere = ({ cluster }: ArrayStatus): boolean =>
  cluster !== null &&
  cluster.resync !== null &&
  (cluster.pendingAction === "resync" || !cluster.balancesReads);

/**
 * Never better than degraded while the last in-sync member is gone, nor than resyncing while any
 * board of the cluster has a resync to do.
 */
const healthOf = (status: ArrayStatus): ArrayHealth => {
  const { health, members } = status;
  const isWhole = health === "optimal" || health === "building" || health === "resyncing";
  if (isWhole && members.some(isGone)) return "degraded";
  return health === "optimal" && isResyncedElsewhere(status) ? "resyncing" : health;
};

/** The verdict on an array, without the times. */
export function judge(
  record: ArrayRecord,
  status: ArrayStatus | null,
  isRunning: boolean,
  startProblem: StartProblem | null,
): { readonly health: ArrayHealth; readonly reasons: readonly Reason[] } {
  if (isRunning && status !== null) {
    return { health: healthOf(status), reasons: runningReasons(status) };
  }
  if (startProblem === null) {
    const isWanted = record.desiredState === "started";
    return {
      health: "inactive",
      reasons: [
        isWanted ? whole("not-started", "not started yet") : whole("stopped", "stopped by request"),
      ],
    };
  }
  return {
    health: "inactive",
    reasons: [
      whole("not-started", startProblem.message),
      ...startProblem.members.map(({ path, reason }) => ({
        code: "not-started" as const,
        message: `${path}: ${reason}`,
        raidSlot: null,
        path,
      })),
    ],
  };
}

/** Remembers since when each reason has held; forgets those that hold no more. */
export class ReasonTimes {
  #since = new Map<string, number>();

  /** The reasons with their times; `now` for those that are new. */
  stamp(reasons: readonly Reason[], now: number): HealthReason[] {
    const next = new Map<string, number>();
    const stamped = reasons.map((reason) => {
      const key = `${reason.code} ${reason.raidSlot} ${reason.path}`;
      const since = reason.since ?? this.#since.get(key) ?? now;
      next.set(key, since);
      return { ...reason, since };
    });
    this.#since = next;
    return stamped;
  }
}
