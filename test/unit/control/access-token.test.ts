/** Bearer tokens: their form, what is stored of them, and that only the right one is taken. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { holderOf, issueToken } from "../../../src/control/access-token.ts";
import { openStore } from "../../../src/store/store.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("control/access-token");

test(
  "a token is found again by its secret, which is stored nowhere",
  inFolder(async (folder) => {
    const store = openStore({ path: join(folder, "a.db") });
    const token = issueToken(store.tokens, "admin", 1);
    assert.match(token, /^satsuma_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$/);
    const id = token.slice(8, 16);
    assert.equal(holderOf(store.tokens, token), { id, name: "admin" });
    assert.is(store.tokens.find(id)?.secretSha256.length, 32);
    assert.not.match(JSON.stringify(store.tokens.find(id)), token.slice(17));
    const changed = token.slice(0, -1) + (token.endsWith("A") ? "B" : "A");
    for (const wrong of [changed, `${token} `, token.toUpperCase(), "", "satsuma__", id]) {
      assert.is(holderOf(store.tokens, wrong), null, wrong);
    }
    store.close();
  }),
);

test(
  "a new token of the same name makes the one before void",
  inFolder(async (folder) => {
    const store = openStore({ path: join(folder, "a.db") });
    const before = issueToken(store.tokens, "admin", 1);
    const after = issueToken(store.tokens, "admin", 2);
    assert.is(holderOf(store.tokens, before), null);
    assert.is(holderOf(store.tokens, after)?.name, "admin");
    store.close();
  }),
);

test.run();
