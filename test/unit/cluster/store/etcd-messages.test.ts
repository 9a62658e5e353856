/** Names and forms of the JSON gateway, letter by letter: a wrong one is dropped in silence. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Txn } from "../../../../src/cluster/store/cluster-store.ts";
import {
  headerOf,
  keepAliveReply,
  rangeReply,
  rangeRequest,
  txnReply,
  txnRequest,
  watchReply,
  watchRequest,
} from "../../../../src/cluster/store/etcd-messages.ts";
import { CodedError } from "../../../../src/common/errors.ts";

const test = suite("etcd messages");

const b64 = (text: string): string => Buffer.from(text).toString("base64");

test("writes a transaction as etcd's proto names it", () => {
  const key = "k";
  const txn: Txn = {
    compares: [
      { type: "create-revision", key, relation: "=", number: 12 },
      { type: "mod-revision", key, relation: "!=", number: 0 },
      { type: "version", key, relation: "<", number: 3 },
      { type: "value", key, relation: "=", value: "v" },
    ],
    success: [
      { type: "put", key, value: "", lease: "9007199254740993" },
      { type: "delete", key },
    ],
    failure: [
      { type: "get", key },
      { type: "list", prefix: "p/" },
    ],
  };
  assert.equal(txnRequest(txn), {
    compare: [
      { target: "CREATE", result: "EQUAL", key: b64("k"), create_revision: "12" },
      { target: "MOD", result: "NOT_EQUAL", key: b64("k"), mod_revision: "0" },
      { target: "VERSION", result: "LESS", key: b64("k"), version: "3" },
      { target: "VALUE", result: "EQUAL", key: b64("k"), value: b64("v") },
    ],
    success: [
      { request_put: { key: b64("k"), value: "", lease: "9007199254740993" } },
      { request_delete_range: { key: b64("k") } },
    ],
    failure: [
      { request_range: { key: b64("k") } },
      { request_range: { key: b64("p/"), range_end: b64("p0") } },
    ],
  });
  const range = { key: b64("p/"), range_end: b64("p0") };
  assert.equal(rangeRequest("p/"), range);
  const created = { ...range, start_revision: "5", fragment: true };
  assert.equal(watchRequest("p/", 5), { create_request: created });
});

test("reads what is absent as 0, false or empty", () => {
  const kvs = [{ key: b64("k"), create_revision: "2", mod_revision: "3", version: "1" }];
  const now = { key: "k", value: "", createRevision: 2, modRevision: 3, version: 1, lease: null };
  assert.equal(rangeReply({ kvs, count: "1" }), [now]);
  assert.equal(rangeReply({}), []);
  const txn: Txn = { compares: [], success: [], failure: [{ type: "get", key: "k" }] };
  const reply = txnReply({ responses: [{ response_range: {} }] }, txn);
  assert.equal(reply, { type: "refused", results: [{ type: "get", found: null }] });
  assert.is(keepAliveReply({ result: { ID: "1" } }), false);
  assert.is(keepAliveReply({ result: { ID: "1", TTL: "5" } }), true);
  const events = [{ type: "DELETE", kv: { key: b64("k"), mod_revision: "9" } }];
  const changes = [{ type: "delete", key: "k", revision: 9 }];
  assert.equal(watchReply({ result: { events } }), { type: "changes", changes });
  const compacted = { type: "cancelled", compacted: true, reason: "cancelled" };
  assert.equal(watchReply({ result: { canceled: true, compact_revision: "3" } }), compacted);
});

test("refuses answers that are none", () => {
  const txn: Txn = { compares: [], success: [{ type: "get", key: "k" }], failure: [] };
  const header = { cluster_id: "0", revision: "5" };
  for (const read of [
    () => headerOf({}),
    () => headerOf({ header }),
    () => headerOf({ header: { cluster_id: "1", revision: "9007199254740993" } }),
    () => headerOf({ header: { cluster_id: 1, revision: "1" } }),
    () => rangeReply({ kvs: {} }),
    () => rangeReply({ kvs: [null] }),
    () => rangeReply({ kvs: [{ key: "/w==" }] }),
    () => rangeReply({ more: true }),
    () => txnReply({ succeeded: true }, txn),
    () => txnReply({ succeeded: true, responses: [{}] }, txn),
    () => txnReply(null, txn),
    () => watchReply([]),
    () => watchReply({ result: 1 }),
  ]) {
    let code = "none";
    try {
      read();
    } catch (error) {
      code = error instanceof CodedError ? error.code : String(error);
    }
    assert.is(code, "CLUSTER_STORE_BAD_ANSWER", String(read));
  }
});

test.run();
