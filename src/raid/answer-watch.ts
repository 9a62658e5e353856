/**
 * Who owes an answer: a member that is silent for a second is named; one that stays silent for the
 * limit is failed like one that answered with an error, and nobody waits for it any more.
 *
 * The last in-sync member is never given up: its calls wait, as all of md's do. Linux md has no
 * limit of its own; it relies on those of the drivers below it, and hangs where they have none.
 */

import { type ArrayState, emit, happen, type Member, type Silence } from "./array-state.ts";
import { failMember } from "./metadata-update.ts";

/** An I/O under way for longer than this is reported as stalled. */
const STALL_MS = 1000;
/** What one tick adds at most: a clock that is set forward must not fail a member. */
const STEP_MAX_MS = 1000;

/** `owed`: since when members owe the array thread an answer, milliseconds. */
export const watchAnswers = (state: ArrayState, owed: ReadonlyMap<number, number>): void => {
  const stepMs = Math.min(state.now - state.lastTickAt, STEP_MAX_MS);
  state.lastTickAt = state.now;
  for (const member of state.members.values()) {
    const since = owesSince(state, member, owed);
    const before = state.silences.get(member.id);
    const silentMs = before?.since === since ? before.silentMs + stepMs : 0;
    const silence = since === null ? null : { since, silentMs };
    if (silence === null) state.silences.delete(member.id);
    else state.silences.set(member.id, silence);
    nameStall(state, member, silence);
    if (silence !== null) failWhenDue(state, member, silence);
  }
};

/** When the oldest call began that the member owes any thread. */
const owesSince = (
  state: ArrayState,
  member: Member,
  owed: ReadonlyMap<number, number>,
): number | null => {
  if (member.state === "faulty") return null;
  const seconds = member.leg === null ? 0 : state.shared.stall(member.leg);
  const workers = seconds === 0 ? Infinity : seconds * 1000;
  const oldest = Math.min(owed.get(member.id) ?? Infinity, workers);
  return oldest === Infinity ? null : oldest;
};

const nameStall = (state: ArrayState, member: Member, silence: Silence | null): void => {
  const isStalled = silence !== null && silence.silentMs > STALL_MS;
  if (isStalled === (member.stalledSince !== null)) return;
  member.stalledSince = isStalled ? silence.since : null;
  emit(state, { type: "status-changed" });
  if (!isStalled) return;
  const text = `Member ${member.path} has not answered for ${Math.floor(silence.silentMs / 1000)} s.`;
  const happening = happen(state, "member.stalled", "warning", text, { path: member.path });
  emit(state, { type: "happening", happening });
};

const failWhenDue = (state: ArrayState, member: Member, { silentMs }: Silence): void => {
  const { answerLimitMs } = state.options;
  if (answerLimitMs === null || silentMs < answerLimitMs) return;
  const reason = state.pending.failing.get(member.id);
  // Its failure waits for the cluster; it was asked once more meanwhile.
  if (reason !== undefined) emit(state, { type: "give-up-member", member: member.id, reason });
  failMember(state, member, `no answer for ${Math.floor(silentMs / 1000)} s`);
};
