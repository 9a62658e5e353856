/** How etcd's members are, as this machine sees them: asked anew with each look. */

import type { EtcdAdmin, EtcdAlarm, EtcdMember, EtcdStatus } from "./etcd-admin-client.ts";
import { ownerOf } from "./etcd-arguments.ts";
import type { PlanBoard, PlanInput, PlanMember } from "./etcd-plan.ts";
import type { LifeView } from "./life-records.ts";

/** A member with what it said. */
export interface SeenMember extends EtcdMember {
  /** Null: it does not answer, or knows no leader. */
  readonly status: EtcdStatus | null;
  readonly silentMs: number;
}

export interface EtcdSight {
  readonly members: readonly SeenMember[];
  readonly alarms: readonly EtcdAlarm[];
}

const NOBODY = "0";

export class EtcdWatch {
  readonly #admin: EtcdAdmin;
  /** Since when a member has been silent, by id; monotonic. */
  readonly #silent = new Map<string, number>();
  #last: readonly EtcdMember[] = [];

  constructor(admin: EtcdAdmin) {
    this.#admin = admin;
  }

  /** Never rejects: members that were known go on being asked when nobody tells who they are. */
  async look(endpoints: readonly string[]): Promise<EtcdSight> {
    try {
      this.#last = await this.#admin.members(endpoints);
    } catch {
      // Nobody has a leader: those that were known are asked below.
    }
    const members = await Promise.all(this.#last.map((member) => this.#see(member)));
    for (const id of this.#silent.keys())
      if (!members.some((member) => member.id === id)) this.#silent.delete(id);
    let alarms: readonly EtcdAlarm[] = [];
    try {
      alarms = await this.#admin.alarms(endpoints);
    } catch {
      // Told by the members' silence.
    }
    return { members, alarms };
  }

  async #see(member: EtcdMember): Promise<SeenMember> {
    const [endpoint] = member.clientUrls;
    let status: EtcdStatus | null = null;
    try {
      status = endpoint === undefined ? null : await this.#admin.status(endpoint);
    } catch {
      // Silent.
    }
    if (status?.electedId === NOBODY) status = null;
    const now = performance.now();
    if (status !== null) {
      this.#silent.delete(member.id);
      return { ...member, status, silentMs: 0 };
    }
    const since = this.#silent.get(member.id) ?? now;
    this.#silent.set(member.id, since);
    return { ...member, status, silentMs: Math.max(1, now - since) };
  }
}

/** What the plan is made from. */
export const planInputOf = (view: LifeView, sight: EtcdSight, graceMs: number): PlanInput => ({
  graceMs,
  boards: view.records.map(({ id, name, role, isLeaving }): PlanBoard => {
    const pulse = view.pulses.get(id);
    const canVote = pulse?.canVote ?? false;
    const whyNot = pulse?.remark ?? "it has not been heard of lately";
    return { id, name, isWitness: role === "witness", isLeaving, canVote, whyNot };
  }),
  members: sight.members.map((member): PlanMember => {
    const { id, isLearner, status, silentMs } = member;
    const owner = ownerIn(view, member);
    const hasLost = view.pulses.get(owner)?.hasLostData ?? false;
    const isElected = status !== null && status.electedId === id;
    return { id, owner: hasLost ? "" : owner, isLearner, isElected, silentMs };
  }),
});

/** Whose member it is; one that has not started has no name yet. */
export const ownerIn = (view: LifeView, member: EtcdMember): string =>
  ownerOf(member.name) ??
  view.records.find(({ peerUrl }) => member.peerUrls.includes(peerUrl))?.id ??
  "";
