/**
 * A change of a stopped array on its open devices, whole: which of them make the array, what the
 * change writes on each, and writing it.
 */

import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { ArrayChange } from "./array-change.ts";
import { assemble } from "./assembly.ts";
import type { AssemblyStart } from "./assembly-types.ts";
import { readCandidate } from "./candidate-driver.ts";
import {
  type ChangeDevice,
  type ChangeOutcome,
  readChangeMember,
  runChange,
} from "./change-driver.ts";
import { planChange } from "./change-plan.ts";
import { changeSurvives } from "./change-survival.ts";
import type { ChangeMember } from "./change-types.ts";

/** The members that take part, as planning wants them. */
const readMembers = async (
  verdict: AssemblyStart,
  devices: readonly ChangeDevice[],
): Promise<ChangeMember[]> => {
  const members: ChangeMember[] = [];
  for (const [index, { placement, superblock }] of verdict.members.entries()) {
    const device = devices[index];
    const takesPart = ["in-sync", "rebuilding", "spare"].includes(placement.type);
    if (!takesPart || superblock === null || device === undefined) continue;
    members.push(await readChangeMember(device, superblock, verdict.shape.freshest));
  }
  return members;
};

/**
 * Makes the change. `now`: milliseconds since the epoch. Errors: what assembly refuses, what
 * planChange refuses (nothing is written then), RAID_CHANGE_INCOMPLETE.
 */
export const changeArray = async (
  open: readonly { readonly path: string; readonly device: BlockDevice }[],
  change: ArrayChange,
  now: number,
): Promise<ChangeOutcome> => {
  const devices = open.map(({ path, device }, id): ChangeDevice => ({ id, path, device }));
  const candidates = [];
  for (const { path, device } of devices) candidates.push(await readCandidate(path, device));
  const verdict = assemble(candidates);
  if (verdict.verdict === "refuse") {
    const { code, message, remedy, members } = verdict;
    const list = members.map(({ path, reason, text }) => ({ path, reason, text }));
    throw new CodedError(code, message, { remedy, details: { members: list } });
  }
  const context = { now, freshest: verdict.shape.freshest };
  const members = await readMembers(verdict, devices);
  const plan = planChange(members, change, context);
  if (!plan.ok) throw new CodedError(plan.code, plan.message, { remedy: plan.remedy });
  const survives = (failed: ReadonlySet<number>) => changeSurvives(members, context, failed);
  return runChange(plan.phases, devices, survives);
};
