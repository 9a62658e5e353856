/** What the keys of a cluster show of sessions and fences. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ClusterWatch } from "../../helpers/fault-runs/cluster-watch.ts";

const test = suite("fault runs: the watch of a cluster");
const PREFIX = "/satsuma/x/";
const ARRAY = `${PREFIX}arrays/u/`;

type Row = readonly [key: string, value: string, created: number, modified: number];
const row = ([key, value, createRevision, modRevision]: Row) => ({
  ...{ key, value, createRevision, modRevision, version: 1 },
});
const member = (slot: number, node: string, epoch: number): Row => [
  `${ARRAY}m/${slot}`,
  JSON.stringify({ node }),
  epoch,
  epoch,
];
const beat = (slot: number, revision: number): Row => [`${ARRAY}hb/${slot}`, "1", 5, revision];
const board = (name: string, life: number): Row => [`${PREFIX}boards/b/${name}`, "{}", life, life];

const watched = () => {
  const problems: string[] = [];
  const fenced: string[] = [];
  const watch = new ClusterWatch(PREFIX, {
    onFenced: (name, before) => fenced.push(`${name} ${before}`),
    onProblem: (text) => problems.push(text),
  });
  const seen = (now: number, ...rows: Row[]) => watch.seen(rows.map(row), now);
  return { seen, problems, fenced };
};

test("a session is fenced when its slot is declared dead, after every exporter has said so", () => {
  const { seen, problems, fenced } = watched();
  const boards = [board("b1", 10), board("b2", 11)];
  seen(1000, ...boards, member(1, "b1", 20), beat(1, 21));
  seen(2000, ...boards, [`${ARRAY}slot/1`, "live", 20, 20]);
  assert.equal(fenced, []);
  const fences: Row[] = [
    [`${ARRAY}fd/b1/1`, "30", 31, 31],
    [`${ARRAY}fd/b2/1`, "30", 32, 32],
  ];
  seen(9000, ...boards, ...fences, [`${ARRAY}slot/1`, "dead 30", 20, 40]);
  assert.equal(fenced, ["b1 1000"]);
  assert.equal(problems, []);
});

test("planted: a slot that is dead before an exporter has acknowledged", () => {
  const { seen, problems } = watched();
  const boards = [board("b1", 10), board("b2", 11)];
  seen(1000, ...boards, member(1, "b1", 20), beat(1, 21));
  const fences: Row[] = [[`${ARRAY}fd/b1/1`, "30", 31, 31]];
  seen(9000, ...boards, ...fences, [`${ARRAY}slot/1`, "dead 30", 20, 40]);
  assert.is(problems.length, 1);
  assert.match(problems[0] ?? "", /b2 has not acknowledged/);
});

test("a board that came after the session was over owes no acknowledgement", () => {
  for (const life of [35, 50]) {
    const { seen, problems } = watched();
    seen(1000, board("b1", 10), member(1, "b1", 20), beat(1, 21));
    const fence: Row = [`${ARRAY}fd/b1/1`, "30", 31, 31];
    seen(9000, board("b1", 10), board("b2", life), fence, [`${ARRAY}slot/1`, "dead 30", 20, 40]);
    assert.equal(problems, []);
  }
});

test("planted: two sessions of one board that both go on", () => {
  const { seen, problems } = watched();
  const both = [member(1, "b1", 20), member(2, "b1", 30)];
  seen(1000, ...both, beat(1, 31), beat(2, 32));
  seen(1300, ...both, beat(1, 31), beat(2, 33));
  assert.equal(problems, []);
  seen(1600, ...both, beat(1, 34), beat(2, 33));
  assert.match(problems.join(), /b1: session 20 confirms beside session 30/);
});

test.run();
