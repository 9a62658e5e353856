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
import type { ChangeMember } from "./change-types.ts";

export interface ArrayChanged extends ChangeOutcome {
  /** The array as it was. */
  readonly before: AssemblyStart;
  /** False when it was that way already: nothing was written. */
  readonly isChanged: boolean;
}

/**
 * Makes the change. `now`: milliseconds since the epoch.
 * Errors: what assembly, the rules and planChange refuse, and then nothing is written, with
 * `details.members` where the devices are at fault; RAID_CHANGE_INCOMPLETE.
 */
export const changeArray = async (
  open: readonly { readonly path: string; readonly device: BlockDevice }[],
  change: ArrayChange,
  now: number,
  rules: CandidateRules = { allowStale: true, allowMissing: true },
): Promise<ArrayChanged> => {
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
  if (!plan.ok) throw new CodedError(plan.code, plan.message, { remedy: plan.remedy });
  const survives = (failed: ReadonlySet<number>): boolean =>
    changeSurvives(members, context, failed);
  const outcome = await runChange(plan, devices, survives);
  return { ...outcome, before: chosen.start, isChanged: plan.phases.length > 0 };
};
