import { suite } from "uvu";
import * as assert from "uvu/assert";
import { membersIn } from "../../../../src/cluster/store/etcd-members-client.ts";
import { encodeMember } from "../../../../src/cluster/store/member-records.ts";

const test = suite("cluster/store/etcd-members");

const key = (name: string, value: string) => ({
  key: Buffer.from(`m/${name}`).toString("base64"),
  value: Buffer.from(value).toString("base64"),
  create_revision: "5",
  mod_revision: "5",
  version: "1",
});

test("boards that take part are told with where their exports are", () => {
  const record = { node: "b", boot: "1", life: "2", address: "10.0.0.2:10809", protocol: 1 };
  const kvs = [key("1", encodeMember(record)), key("2", "something else")];
  assert.equal(membersIn({ kvs, count: "2" }), [{ node: "b", address: "10.0.0.2:10809" }]);
});

test("an answer without keys tells that nobody does; any other one tells nothing", () => {
  assert.equal(membersIn({ header: {} }), []);
  assert.is(membersIn(null), null);
  assert.is(membersIn({ kvs: [{ key: 7 }] }), null);
});

test.run();
