/** What etcd answers about its members: who votes, and who can commit. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  canCommit,
  readVoters,
  votersIn,
} from "../../../../src/cluster/store/etcd-voters-client.ts";

const test = suite("cluster/store/etcd-voters");

test("voters are named with their addresses; learners do not vote", () => {
  const members = [
    { ID: "1", name: "a", clientURLs: ["http://a:2379"] },
    { ID: "2", name: "b", clientURLs: ["http://b:2379"], isLearner: true },
    // A member that was added and has not started has no name yet: it votes.
    { ID: "3", peerURLs: ["http://c:2380"] },
  ];
  assert.equal(votersIn({ members }), [
    { name: "a", urls: ["http://a:2379"] },
    { name: "", urls: [] },
  ]);
  assert.is(votersIn({ error: "no" }), null);
  assert.is(votersIn("text"), null);
});

test("a member counts that has an elected one over it, and no alarm", () => {
  assert.ok(canCommit({ leader: "8211f1d0f64f3269" }));
  assert.not.ok(canCommit({}), "none is elected");
  assert.not.ok(canCommit({ leader: "8211", errors: ["etcdserver: no leader"] }));
  assert.not.ok(canCommit(null));
});

test("an etcd that does not answer is a problem to tell, not an error", async () => {
  const { voters, problem } = await readVoters(["http://127.0.0.1:1"], null);
  assert.equal(voters, []);
  assert.match(problem ?? "", "127.0.0.1:1");
});

test.run();
