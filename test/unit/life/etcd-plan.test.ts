/** Which boards get a vote: single stories, then any story at all against what must always hold. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Prng } from "../../../src/common/prng.ts";
import {
  majorityOf,
  nextStep,
  type PlanBoard,
  type PlanMember,
  type PlanStep,
  wantedVoters,
} from "../../../src/life/etcd-plan.ts";
import { describeQuorum } from "../../../src/life/quorum-words.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("who has a vote in etcd");

const GRACE_MS = 60_000;

const board = (name: string, more: Partial<PlanBoard> = {}): PlanBoard => {
  return { id: name, name, isWitness: false, isLeaving: false, canVote: true, ...more };
};

const voter = (owner: string, more: Partial<PlanMember> = {}): PlanMember => {
  return { id: `m-${owner}`, owner, isLearner: false, isElected: false, silentMs: 0, ...more };
};

const planOf = (boards: readonly PlanBoard[], members: readonly PlanMember[]): PlanStep =>
  nextStep({ boards, members, graceMs: GRACE_MS });

/** What a step makes of the members; a new one is well at once. */
const after = (members: readonly PlanMember[], step: PlanStep): readonly PlanMember[] => {
  if (step.type === "add") return [...members, voter(step.board, { isLearner: true })];
  if (step.type === "remove") return members.filter(({ id }) => id !== step.member);
  if (step.type !== "promote") return members;
  return members.map((one) => (one.id === step.member ? { ...one, isLearner: false } : one));
};

/** Steps until there is none; the voters at the end. */
const settle = (
  boards: readonly PlanBoard[],
  start: readonly PlanMember[],
): { readonly owners: readonly string[]; readonly steps: readonly string[] } => {
  let members = start;
  const steps: string[] = [];
  for (;;) {
    const step = planOf(boards, members);
    if (step.type === "none" || step.type === "wait") break;
    steps.push(step.type);
    members = after(members, step);
    assert.ok(steps.length < 30, `it comes to an end: ${steps.join(" ")}`);
  }
  return { owners: members.map(({ owner }) => owner).sort(), steps };
};

test("two boards keep one vote; a third board or a witness makes it three", () => {
  const two = [board("a"), board("b")];
  assert.equal(settle(two, [voter("a")]).owners, ["a"]);
  assert.equal(planOf(two, [voter("a")]).type, "none");
  const steps = ["add", "promote", "add", "promote"];
  assert.equal(settle([...two, board("c")], [voter("a")]), { owners: ["a", "b", "c"], steps });
  const witness = board("w", { isWitness: true });
  assert.equal(settle([...two, witness], [voter("a")]), { owners: ["a", "b", "w"], steps });
});

test("a third that is not ready begins no way that would end at two", () => {
  const boards = [board("a"), board("b"), board("c", { canVote: false })];
  assert.is(planOf(boards, [voter("a")]).type, "wait");
  assert.equal(settle(boards, [voter("a"), voter("b")]).owners.length, 1);
});

test("five boards have five votes, four have three", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  assert.equal(
    settle(
      names.slice(0, 4).map((name) => board(name)),
      [voter("a")],
    ).owners.length,
    3,
  );
  assert.equal(
    settle(
      names.map((name) => board(name)),
      [voter("a")],
    ).owners.length,
    5,
  );
});

test("a lost voter is replaced after the grace, and only when somebody can take its place", () => {
  const boards = ["a", "b", "c", "d"].map((name) => board(name, { canVote: name !== "c" }));
  const members = (silentMs: number) => [voter("a"), voter("b"), voter("c", { silentMs })];
  assert.is(planOf(boards, members(GRACE_MS)).type, "none");
  const step = planOf(boards, members(GRACE_MS + 1));
  assert.is(step.type === "remove" ? step.member : "", "m-c");
  assert.equal(settle(boards, members(GRACE_MS + 1)).owners, ["a", "b", "d"]);
  assert.is(planOf(boards.slice(0, 3), members(GRACE_MS + 1)).type, "none");
});

test("without a majority nothing is changed", () => {
  const boards = ["a", "b", "c", "d"].map((name) => board(name));
  const dead = 10 * GRACE_MS;
  const members = [voter("a"), voter("b", { silentMs: dead }), voter("c", { silentMs: dead })];
  assert.is(planOf(boards, members).type, "none");
  assert.is(planOf(boards.slice(0, 1), members).type, "wait");
});

test("the only voter that leaves hands its vote over first", () => {
  const boards = [board("a", { isLeaving: true }), board("b")];
  assert.equal(settle(boards, [voter("a")]), {
    owners: ["b"],
    steps: ["add", "promote", "remove"],
  });
});

test("one of three that leaves and is well is replaced before it goes, a dead one after", () => {
  const boards = [board("a"), board("b"), board("c", { isLeaving: true }), board("d")];
  const all = [voter("a"), voter("b"), voter("c")];
  assert.equal(settle(boards, all).steps, ["add", "promote", "remove"]);
  const evicted = boards.filter(({ name }) => name !== "c");
  const dead = [voter("a"), voter("b"), voter("c", { silentMs: 1 })];
  assert.equal(settle(evicted, dead).steps, ["remove", "add", "promote"]);
});

test("of a board and a witness the board keeps the vote, also when the witness is elected", () => {
  const boards = [board("a"), board("w", { isWitness: true })];
  assert.equal(settle(boards, [voter("a"), voter("w", { isElected: true })]).owners, ["a"]);
});

test("a learner that never starts is taken out again", () => {
  const boards = [board("a"), board("b"), board("c")];
  const learner = (silentMs: number) => [voter("a"), voter("b", { isLearner: true, silentMs })];
  assert.is(planOf(boards, learner(1)).type, "wait");
  assert.is(planOf(boards, learner(GRACE_MS + 1)).type, "remove");
});

const draw = (prng: Prng): { boards: PlanBoard[]; members: PlanMember[] } => {
  const boards = Array.from({ length: 1 + prng.below(7) }, (_, index) =>
    board(`b${index}`, {
      isWitness: index > 0 && prng.below(5) === 0,
      isLeaving: prng.below(6) === 0,
      canVote: prng.below(4) > 0,
    }),
  );
  const owners = [...boards.map(({ id }) => id), "gone1", "gone2"];
  const chosen = owners.filter(() => prng.below(2) === 0).slice(0, 1 + prng.below(6));
  const silent = (): number => [0, 0, 0, 5, GRACE_MS + 1][prng.below(5)] ?? 0;
  const members = chosen.map((owner) => voter(owner, { silentMs: silent() }));
  return { boards, members };
};

test("whatever there is: no step costs the majority, and the steps come to an odd count", async () => {
  await withSeeds({ fixed: [1], more: 2000 }, (prng) => {
    const { boards, members: start } = draw(prng);
    let members: readonly PlanMember[] = start;
    const well = (): number => members.filter((one) => !one.isLearner && one.silentMs === 0).length;
    const voters = (): number => members.filter(({ isLearner }) => !isLearner).length;
    for (let count = 0; ; count += 1) {
      assert.ok(count < 40, "the steps come to an end");
      const wasQuorate = well() >= majorityOf(voters());
      const step = planOf(boards, members);
      if (step.type === "none" || step.type === "wait") {
        if (step.type === "none" && wasQuorate && voters() > 0) {
          const isOdd = voters() % 2 === 1;
          assert.ok(isOdd, `${voters()} voters are left`);
          assert.ok(voters() <= Math.max(wantedVoters(boards), 1) || !isOdd, "not too many");
        }
        return;
      }
      if (step.type !== "add") assert.ok(wasQuorate || isLearner(members, step), "quorate before");
      members = after(members, step);
      if (step.type !== "add" && wasQuorate) assert.ok(well() >= majorityOf(voters()), step.type);
    }
  });
});

const isLearner = (members: readonly PlanMember[], step: PlanStep): boolean =>
  "member" in step && members.some(({ id, isLearner }) => id === step.member && isLearner);

test("two boards are told what they cannot do, and what helps", () => {
  const boards = [board("a"), board("b")];
  const quorum = describeQuorum({ boards, members: [voter("a")], graceMs: GRACE_MS });
  assert.is(quorum.state, "at-risk");
  assert.is(quorum.isWitnessMissing, true);
  assert.ok(quorum.sentences.includes("if b stops, a goes on"));
  assert.match(quorum.sentences.join("; "), /b reads and writes nothing until a is back/);
  const three = [...boards, board("w", { isWitness: true })];
  const members = [voter("a"), voter("b"), voter("w")];
  const good = describeQuorum({ boards: three, members, graceMs: GRACE_MS });
  assert.equal([good.state, good.spareVotes, good.sentences.length], ["quorate", 1, 0]);
  const lost = [voter("a"), voter("b", { silentMs: 1 }), voter("w", { silentMs: 1 })];
  assert.is(describeQuorum({ boards: three, members: lost, graceMs: GRACE_MS }).state, "lost");
});

test("a board that should vote and cannot is told of with its reason, while votes are missing", () => {
  const slow = board("c", { canVote: false, whyNot: "its disk's flush took 286 ms" });
  const boards = [board("a"), board("b"), slow];
  const { voteless, sentences } = describeQuorum({ boards, members: [voter("a")], graceMs: 1 });
  assert.equal(voteless, ["c gets no vote now: its disk's flush took 286 ms"]);
  assert.ok(sentences.includes(voteless[0] ?? "none"));
  const full = [...boards, board("d")];
  const members = [voter("a"), voter("b"), voter("d")];
  assert.equal(describeQuorum({ boards: full, members, graceMs: 1 }).voteless, []);
});

test.run();
