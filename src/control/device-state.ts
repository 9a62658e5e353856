/** What a device is good for now, and why: one word and the reasons behind it. */

import type { DeviceFile } from "../hal/device-files.ts";
import { FAILED_BEFORE, FAILED_ELSEWHERE } from "../raid/fault-reason-status.ts";
import type { Membership } from "./array-service.ts";
import type { DeviceProbe } from "./engine.ts";
import { cutText, isCut } from "./lost-content.ts";

/** The word. `foreign`: it holds something that would be lost if it were taken. */
export type DeviceState =
  | "free"
  | "in-use"
  | "spare"
  | "foreign"
  | "unusable"
  | "failed"
  | "missing";

/** One reason, with a code for programs and a sentence for people. */
export interface DeviceReason {
  readonly code: string;
  readonly message: string;
}

/** The verdict on a device. */
export interface DeviceVerdict {
  readonly state: DeviceState;
  readonly reasons: readonly DeviceReason[];
}

/** What is known of a device. `probe` is null before the first reading. */
export interface DeviceFacts {
  readonly path: string;
  readonly file: DeviceFile | null;
  readonly probe: DeviceProbe | null;
  readonly membership: Membership | null;
  /** True when the array named by the superblock runs here without this device. */
  readonly isStale: boolean;
  /** Why it holds less than was written to it. */
  readonly lostContent: string | null;
}

const verdict = (state: DeviceState, code: string, message: string): DeviceVerdict => ({
  state,
  reasons: [{ code, message }],
});

const memberVerdict = (membership: Membership): DeviceVerdict => {
  const states = membership.member?.states ?? [];
  if (states.includes("faulty")) {
    const why = membership.member?.faultReason ?? "an I/O error";
    return verdict("failed", "member-failed", `faulty member of ${membership.name}: ${why}`);
  }
  if (states.includes("spare") && !states.includes("rebuilding")) {
    return verdict("spare", "spare", `spare of ${membership.name}`);
  }
  return verdict("in-use", "member", `member of ${membership.name}`);
};

const contentVerdict = (probe: DeviceProbe, isStale: boolean): DeviceVerdict => {
  if (probe.md !== null) {
    const { name, arrayUuid } = probe.md;
    return isStale
      ? verdict("foreign", "stale-member", `old member of ${name}: add it or re-add it`)
      : verdict("foreign", "md-superblock", `holds a member of array ${name} (${arrayUuid})`);
  }
  if (probe.signatures.length > 0) {
    return {
      state: "foreign",
      reasons: probe.signatures.map((signature) => ({
        code: "signature",
        message: `holds ${signature}`,
      })),
    };
  }
  return { state: "free", reasons: [] };
};

/** The verdict on a device from what is known of it. */
export function deviceState(facts: DeviceFacts): DeviceVerdict {
  const { state, reasons } = stateOf(facts);
  const { lostContent } = facts;
  if (lostContent === null || state === "missing" || state === "failed") return { state, reasons };
  const message = `${lostContent}: as a member it has to be added, and is copied whole`;
  return { state, reasons: [...reasons, { code: "content-lost", message }] };
}

const stateOf = (facts: DeviceFacts): DeviceVerdict => {
  const { file, probe, membership } = facts;
  if (membership?.running && membership.member?.states.includes("faulty")) {
    return memberVerdict(membership);
  }
  if (file === null) {
    return verdict("missing", "path-gone", `nothing is at ${facts.path}`);
  }
  if (membership?.running) {
    return memberVerdict(membership);
  }
  if (probe === null) {
    return verdict("unusable", "not-read", "it has not been read yet");
  }
  if (probe.problem !== null) {
    return verdict("unusable", probe.problem.code, probe.problem.message);
  }
  if (membership !== null && probe.md?.arrayUuid === membership.uuid) {
    return verdict("in-use", "member", `member of ${membership.name}, which does not run`);
  }
  return contentVerdict(probe, facts.isStale);
};

const GONE = "the path is gone";
const ANOTHER = "another file or device is at the path";

const AWAY_REASONS: ReadonlySet<string> = new Set([GONE, ANOTHER, FAILED_BEFORE, FAILED_ELSEWHERE]);

/** A member that failed for this may be back; one that fails requests is another matter. */
export const isAwayReason = (reason: string): boolean => AWAY_REASONS.has(reason) || isCut(reason);

/** Why the member opened as `before` is not there any more; null while it is. */
export function lossReason(before: DeviceFile | null, now: DeviceFile | null): string | null {
  if (before === null) {
    return null;
  }
  if (now === null) {
    return GONE;
  }
  if (before.identity !== now.identity) {
    return ANOTHER;
  }
  if (now.sizeBytes < before.sizeBytes) {
    return cutText(before.sizeBytes, now.sizeBytes);
  }
  return null;
}
