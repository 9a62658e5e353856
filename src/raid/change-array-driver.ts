/**
 * A change of a stopped array on its open devices, whole: which of them make the array, what the
 * change writes on each, and writing it.
 */

import { assert } from "../common/assert.ts";
import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { ArrayChange } from "./array-change.ts";
import type { AssemblyCandidate, AssemblyStart } from "./assembly-types.ts";
import { readCandidate } from "./candidate-driver.ts";
import { type CandidateRules, chooseCandidates } from "./change-candidates.ts";
import {
  type ChangeDevice,
  type ChangeOutcome,
  readChangeMember,
  runChange,
} from "./change-driver.ts";
import { planChange } from "./change-plan.ts";
import { changeSurvives } from "./change-survival.ts";
import type { ChangeContext, ChangeMember, ChangePlanned, ChangeRefusal } from "./change-types.ts";

export interface ArrayChanged extends ChangeOutcome {
  /** The array as it was. */
  readonly before: AssemblyStart;
  /** False when it was that way already: nothing was written. */
  readonly isChanged: boolean;
}

interface OpenMember {
  readonly path: string;
  readonly device: BlockDevice;
}

/** A change as it would be made on these devices, or what planChange refuses it for. */
interface DraftedChange {
  readonly start: AssemblyStart;
  readonly context: ChangeContext;
  readonly devices: readonly ChangeDevice[];
  readonly members: readonly ChangeMember[];
  readonly plan: ChangePlanned;
}

/** Reads only. Errors: what assembly and the rules refuse. */
const draftChange = async (
  open: readonly OpenMember[],
  change: ArrayChange,
  now: number,
  rules: CandidateRules,
): Promise<DraftedChange> => {
  const candidates: AssemblyCandidate[] = [];
  for (const { path, device } of open) candidates.push(await readCandidate(path, device));
  const chosen = chooseCandidates(candidates, change, rules);
  if (!chosen.ok) {
    const { code, message, remedy } = chosen;
    const members = chosen.members.map(({ path, reason, text }) => ({ path, reason, text }));
    throw new CodedError(code, message, { remedy, details: { members } });
  }
  const context = { now, freshest: chosen.start.shape.freshest };
  const devices: ChangeDevice[] = [];
  const members: ChangeMember[] = [];
  for (const { index, superblock } of chosen.members) {
    const entry = open[index];
    assert(entry !== undefined, "assembly answers for the devices it was given");
    const device: ChangeDevice = { id: index, path: entry.path, device: entry.device };
    devices.push(device);
    members.push(await readChangeMember(device, superblock, context.freshest));
  }
  const plan = planChange(members, change, context);
  return { start: chosen.start, context, devices, members, plan };
};

const ALL: CandidateRules = { allowStale: true, allowMissing: true };

const refusalOf = ({ code, message, remedy }: ChangeRefusal): CodedError =>
  new CodedError(code, message, { remedy });

/**
 * Makes the change. `now`: milliseconds since the epoch.
 * Errors: what assembly, the rules and planChange refuse, and then nothing is written, with
 * `details.members` where the devices are at fault; RAID_CHANGE_INCOMPLETE.
 */
export const changeArray = async (
  open: readonly OpenMember[],
  change: ArrayChange,
  now: number,
  rules: CandidateRules = ALL,
): Promise<ArrayChanged> => {
  const { start, context, devices, members, plan } = await draftChange(open, change, now, rules);
  if (!plan.ok) throw refusalOf(plan);
  const survives = (failed: ReadonlySet<number>): boolean =>
    changeSurvives(members, context, failed);
  const outcome = await runChange(plan, devices, survives);
  return { ...outcome, before: start, isChanged: plan.phases.length > 0 };
};

/**
 * What the change will be refused for, as the members of a running array stand now; null when
 * nothing is known against it. Only what is asked for counts, not what was found in the middle of
 * being written.
 */
export const foreseeRefusal = async (
  open: readonly OpenMember[],
  change: ArrayChange,
  now: number,
): Promise<CodedError | null> => {
  try {
    const { plan } = await draftChange(open, change, now, ALL);
    return plan.ok || plan.code === "RAID_BITMAP_UNUSABLE" ? null : refusalOf(plan);
  } catch (error) {
    if (error instanceof CodedError) return null;
    throw error;
  }
};
