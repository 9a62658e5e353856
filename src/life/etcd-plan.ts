/**
 * Which boards and witnesses have a vote in etcd, as a pure decision: from who there is and how
 * etcd's members are, the one next step. One step is taken at a time, and none is that would leave
 * etcd without a majority of members that are well.
 *
 * | boards and witnesses | voters | survives                                        |
 * |----------------------|--------|-------------------------------------------------|
 * | 1                    | 1      | nothing                                         |
 * | 2                    | 1      | loss of the one without a vote                  |
 * | 3 or 4               | 3      | loss of any one                                 |
 * | 5 or more boards     | 5      | loss of any two                                 |
 *
 * Two voters are worse than one: the loss of either stops etcd. They are passed through on the way
 * from one to three and after a loss, and left again as soon as that can be.
 */

/** A board or a witness of the cluster. */
export interface PlanBoard {
  /** Stays the same when it is renamed; another one for other hardware. */
  readonly id: string;
  readonly name: string;
  readonly isWitness: boolean;
  /** On its way out: it gets no vote, and loses the one it has. */
  readonly isLeaving: boolean;
  /** It tells that it could run a voter now. */
  readonly canVote: boolean;
  /** Why it cannot, for people; left out: it does not say. */
  readonly whyNot?: string;
}

/** A member of etcd. */
export interface PlanMember {
  readonly id: string;
  /** Id of its board, which may be none of the cluster's any more. */
  readonly owner: string;
  readonly isLearner: boolean;
  readonly isElected: boolean;
  /** Milliseconds since it answered last; 0: it is well. */
  readonly silentMs: number;
}

/** What the plan is made from. */
export interface PlanInput {
  readonly boards: readonly PlanBoard[];
  readonly members: readonly PlanMember[];
  /** A voter that is silent for so long is replaced, milliseconds. */
  readonly graceMs: number;
}

/** `why`: for people. */
export type PlanStep =
  | { readonly type: "none" }
  /** A change is under way, or the next one has to wait. */
  | { readonly type: "wait"; readonly why: string }
  /** As a learner: it has no vote before it has caught up. */
  | { readonly type: "add"; readonly board: string; readonly why: string }
  | { readonly type: "promote"; readonly member: string; readonly why: string }
  | { readonly type: "remove"; readonly member: string; readonly why: string };

const NONE: PlanStep = { type: "none" };

/** How many members have to agree. */
export const majorityOf = (voters: number): number => Math.floor(voters / 2) + 1;

/** How many voters such a cluster should have. */
export const wantedVoters = (boards: readonly PlanBoard[]): number => {
  const staying = boards.filter(({ isLeaving }) => !isLeaving);
  const full = staying.filter(({ isWitness }) => !isWitness).length;
  return full >= 5 ? 5 : staying.length >= 3 ? 3 : 1;
};

/** The next step. */
export const nextStep = (input: PlanInput): PlanStep => {
  const plan = new Plan(input);
  return plan.learnerStep() ?? plan.removalStep() ?? plan.countStep();
};

class Plan {
  readonly #input: PlanInput;
  readonly #voters: readonly PlanMember[];
  readonly #wanted: number;

  constructor(input: PlanInput) {
    this.#input = input;
    this.#voters = input.members.filter(({ isLearner }) => !isLearner);
    this.#wanted = wantedVoters(input.boards);
  }

  /** What has been begun is ended first: etcd has one learner at a time. */
  learnerStep(): PlanStep | null {
    const learner = this.#input.members.find(({ isLearner }) => isLearner);
    if (learner === undefined) return null;
    const owner = this.#boardOf(learner);
    const remove = (why: string): PlanStep => ({ type: "remove", member: learner.id, why });
    if (owner === null) return remove("the board that was to get a vote is gone");
    const { name } = owner;
    if (owner.isLeaving) return remove(`${name} is leaving`);
    if (learner.silentMs > this.#input.graceMs) return remove(`${name} does not start its etcd`);
    if (learner.silentMs > 0) return { type: "wait", why: `${name} starts its etcd` };
    const after = this.#voters.length + 1;
    if (this.#well().length + 1 < majorityOf(after))
      return { type: "wait", why: "too few members of etcd are well" };
    return { type: "promote", member: learner.id, why: `${name} has caught up` };
  }

  /** Voters whose board is gone, is leaving, or has been silent for too long. */
  removalStep(): PlanStep | null {
    const strangers = this.#voters.filter((member) => this.#boardOf(member) === null);
    const leaving = this.#voters.filter((member) => this.#boardOf(member)?.isLeaving === true);
    for (const member of [...strangers, ...leaving]) {
      const name = this.#boardOf(member)?.name;
      const why = name === undefined ? "its board is not of the cluster" : `${name} is leaving`;
      // Of members that are well the new one comes first: the majority is never smaller.
      const isLast = this.#voters.length === 1;
      const isRoom = this.#voters.length <= this.#wanted;
      const spare = this.#spare()[0];
      if (spare !== undefined && isRoom && (isLast || member.silentMs === 0))
        return this.#add(spare);
      if (!isLast && this.#isSafeWithout(member)) return { type: "remove", member: member.id, why };
    }
    const { graceMs } = this.#input;
    const lost = this.#voters.filter(({ silentMs }) => silentMs > graceMs);
    for (const member of lost) {
      if (this.#spare().length === 0 || !this.#isSafeWithout(member)) continue;
      const name = this.#boardOf(member)?.name ?? "its board";
      const why = `${name} has been silent for too long, and another one can take its place`;
      return { type: "remove", member: member.id, why };
    }
    return null;
  }

  countStep(): PlanStep {
    const count = this.#voters.length;
    const spare = this.#spare();
    const [first] = spare;
    if (count === 0) return NONE;
    if (count < this.#wanted && first !== undefined) {
      // Two votes are not begun with, nor four, when it would have to stay at that.
      if (count % 2 === 0 || spare.length > 1) return this.#add(first);
      return {
        type: "wait",
        why: `${first.name} gets a vote together with one more, none is ready`,
      };
    }
    // Two and four survive no more than one and three do.
    return count > this.#wanted || count % 2 === 0 ? this.#shrink() : NONE;
  }

  #shrink(): PlanStep {
    const order = [...this.#voters].sort((a, b) => this.#worth(a) - this.#worth(b));
    const member = order.find((one) => this.#isSafeWithout(one));
    const why = `${this.#voters.length} voters survive no more than ${this.#voters.length - 1} do`;
    if (member !== undefined) return { type: "remove", member: member.id, why };
    return { type: "wait", why: "too few members of etcd are well" };
  }

  /** What is given up first: silent ones, then witnesses, the one that is elected last. */
  #worth(member: PlanMember): number {
    if (member.silentMs > 0) return 0;
    if (this.#boardOf(member)?.isWitness === true) return 1;
    return member.isElected ? 3 : 2;
  }

  #add({ id, name }: PlanBoard): PlanStep {
    if (this.#well().length < majorityOf(this.#voters.length))
      return { type: "wait", why: "too few members of etcd are well" };
    return { type: "add", board: id, why: `${name} gets a vote` };
  }

  #well(): readonly PlanMember[] {
    return this.#voters.filter(({ silentMs }) => silentMs === 0);
  }

  #boardOf({ owner }: PlanMember): PlanBoard | null {
    return this.#input.boards.find(({ id }) => id === owner) ?? null;
  }

  /** Who could get a vote: boards first. */
  #spare(): readonly PlanBoard[] {
    const { boards, members } = this.#input;
    const free = boards.filter(
      ({ id, canVote, isLeaving }) =>
        canVote && !isLeaving && !members.some(({ owner }) => owner === id),
    );
    return [...free].sort((a, b) => Number(a.isWitness) - Number(b.isWitness));
  }

  /** The others have a majority now, and have one without it. */
  #isSafeWithout(member: PlanMember): boolean {
    const others = this.#well().filter((one) => one !== member);
    const isQuorateNow = this.#well().length >= majorityOf(this.#voters.length);
    return isQuorateNow && others.length >= majorityOf(this.#voters.length - 1);
  }
}
