/** What clustered arrays know of their clusters, as the API shows it. */

import type { ClusterView, LockHolderView, LockView } from "../../cluster/node/cluster-view.ts";
import type { ClusterAbsence, ClusterReport } from "../../control/cluster-service.ts";
import type { ControlPlane } from "../../control/control-plane.ts";
import { subjectOf } from "../../control/subject.ts";
import type { WriteHoldFigures } from "../../raid/hold-status.ts";
import type {
  ArrayAbsenceResource,
  ArrayDlmResource,
  DlmResource,
  LockResource,
} from "../schemas/dlm.ts";
import { timeText } from "./times.ts";

const SECTOR = 512;

const seconds = (ms: number): number => Math.round(ms * 1000) / 1_000_000;

const holder = ({ slot, node, granted, requested }: LockHolderView) => ({
  slot,
  node,
  granted,
  requested,
});

/** Sectors that others hold their writes in; null: none, also where a range holds nothing. */
const heldRange = (range: LockView["range"], sizeBytes: number): LockResource["range"] =>
  range === null || range.lo * SECTOR >= sizeBytes ? null : { lo: range.lo, hi: range.hi };

const lockResource = (lock: LockView, sizeBytes: number): LockResource => ({
  resource: lock.resource,
  granted: lock.granted.map(holder),
  converting: lock.converting.map(holder),
  waiting: lock.waiting.map(holder),
  lvb_invalid: lock.isLvbInvalid,
  range: heldRange(lock.range, sizeBytes),
});

const heldWrites = (holds: WriteHoldFigures): ArrayDlmResource["held_writes"] => ({
  by_range: holds.byRange,
  by_gate: holds.byGate,
  held: holds.held,
  p50: seconds(holds.p50Ms),
  p99: seconds(holds.p99Ms),
  max: seconds(holds.maxMs),
});

const messageResource = (message: ClusterView["message"]): ArrayDlmResource["message"] =>
  message === null
    ? null
    : {
        seq: message.seq,
        name: message.name,
        origin: message.origin,
        done: message.isDone,
        awaited: message.awaited.map(({ slot, what }) => ({ slot, what })),
      };

/** `now`: milliseconds since the epoch at about the time of the view. */
const arrayDlm = ({ array, view, holds }: ClusterReport, now: number): ArrayDlmResource => {
  const sizeBytes = array.status?.sizeBytes ?? 0;
  return {
    array: array.record.uuid,
    name: array.record.name,
    cluster: array.status?.bitmap.clusterName ?? "",
    protocol: view.protocol,
    phase: view.phase,
    slot: view.slot,
    epoch: view.epoch,
    nodes: view.nodes,
    members: view.members.map(({ slot, node, address, epoch, isMe }) => ({
      slot,
      node,
      address,
      epoch,
      me: isMe,
    })),
    slots: view.slots.map(({ slot, condition, recoveredBy }) => ({
      slot,
      condition,
      recovered_by: recoveredBy,
    })),
    locks: view.locks.map((lock) => lockResource(lock, sizeBytes)),
    damaged: view.damaged.map(({ key, code, message }) => ({ key, code, message })),
    message: messageResource(view.message),
    ranges: view.ranges.flatMap(({ slot, lo, hi }) =>
      heldRange({ lo, hi }, sizeBytes) === null ? [] : [{ slot, lo, hi }],
    ),
    balancing_suspended: view.isBalancingSuspended,
    awaited: view.waits[0] ?? null,
    waits: [...view.waits],
    calls: view.calls.map(({ call, waitedMs }) => ({ call, seconds: seconds(waitedMs) })),
    held_writes: heldWrites(holds),
    trace: view.trace.map(({ at, what, text }) => ({
      at: timeText(now - (view.at - at)),
      what,
      text,
    })),
    links: { array: subjectOf("array", array.record.uuid) },
  };
};

const absence = ({ array, problem, triesAgain }: ClusterAbsence): ArrayAbsenceResource => {
  const { uuid, name, desiredState } = array.record;
  const isWanted = desiredState === "started";
  return {
    array: uuid,
    name,
    cluster: array.status?.bitmap.clusterName ?? "",
    desired_state: desiredState,
    code: problem?.code ?? null,
    message: problem?.message ?? (isWanted ? "not started yet" : "stopped by request"),
    remedy: problem?.remedy ?? (isWanted ? "wait" : "start it"),
    tries_again: triesAgain,
    links: { array: subjectOf("array", uuid) },
  };
};

/** The resource of all clustered arrays of this board. */
export async function dlmResource(control: ControlPlane): Promise<DlmResource> {
  const { present, absent } = await control.cluster.reports();
  const now = control.options.now();
  return {
    cluster: control.engine.cluster,
    items: present.map((report) => arrayDlm(report, now)),
    absent: absent.map(absence),
  };
}
