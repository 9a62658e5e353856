/** Which versions, stores and refusals of etcd mean what. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { judgeRefusal } from "../../../../src/cluster/store/etcd-refusal.ts";
import { judgeVersion } from "../../../../src/cluster/store/etcd-version.ts";
import { retryDelay } from "../../../../src/cluster/store/retry-delay.ts";
import { learnIdentity, UNKNOWN_STORE } from "../../../../src/cluster/store/store-identity.ts";
import { CodedError } from "../../../../src/common/errors.ts";

const test = suite("rules for etcd");

const verdict = (version: string): string => {
  try {
    return judgeVersion(version) === null ? "good" : "warned";
  } catch (error) {
    return error instanceof CodedError ? error.code : "no code";
  }
};

test("refuses versions with known loss, warns of those that lack fixes", () => {
  const bad = "CLUSTER_STORE_BAD_VERSION";
  const table: [string, string][] = [
    ["3.4.22", bad],
    ["3.4.23", "warned"],
    ["3.4.45", "warned"],
    ["3.5.0", bad],
    ["3.5.2", bad],
    ["3.5.3", "warned"],
    ["3.5.27", "warned"],
    ["3.5.28", "good"],
    ["3.6.8", "warned"],
    ["3.6.9", "good"],
    ["3.6.0-rc.1", "warned"],
    ["3.7.0", "good"],
    ["4.0.0", "good"],
    ["2.3.8", bad],
    ["3.5", bad],
    ["", bad],
    ["3.5.x", bad],
  ];
  for (const [version, expected] of table) assert.is(verdict(version), expected, version);
});

test("knows a store by its id, and by revisions that never get lower", () => {
  const known = { clusterId: "7", revision: 100 };
  assert.equal(learnIdentity(UNKNOWN_STORE, known, UNKNOWN_STORE), known);
  assert.is(learnIdentity(known, { clusterId: "8", revision: 200 }, null), null);
  assert.is(learnIdentity(known, { clusterId: "7", revision: 99 }, known), null);
  const old = learnIdentity(known, { clusterId: "7", revision: 99 }, null);
  assert.equal(old, known, "a read may be old");
  const before = { clusterId: "7", revision: 98 };
  const crossed = learnIdentity(known, { clusterId: "7", revision: 99 }, before);
  assert.equal(crossed, known, "answers may cross");
});

test("takes for not done only what was certainly not done", () => {
  const type = (message: string): string | undefined => judgeRefusal(message, {})?.type;
  assert.is(judgeRefusal(null, {}), null);
  assert.is(type("etcdserver: requested lease not found"), "refused");
  assert.is(type("etcdserver: mvcc: database space exceeded"), "refused");
  assert.is(type("etcdserver: duplicate key given in txn request"), "refused");
  assert.is(type("etcdserver: no leader"), "not-sent");
  assert.is(type("etcdserver: too many requests"), "not-sent");
  for (const message of [
    "etcdserver: request timed out",
    "etcdserver: request timed out, possibly due to previous leader failure",
    "etcdserver: leader changed",
    "etcdserver: server stopped",
    "rpc error: code = Unavailable desc = transport is closing",
    "",
  ])
    assert.is(type(message), "lost", message);
});

test("waits a random time that doubles, up to a bound", () => {
  assert.is(retryDelay(1, 64, 0), 0);
  assert.is(retryDelay(1, 64, 0.5), 2);
  assert.is(retryDelay(3, 64, 0.5), 8);
  assert.is(retryDelay(5, 64, 0.5), 32);
  assert.is(retryDelay(5000, 64, 0.5), 32);
});

test.run();
