/** The cluster store's contract, second part: what happens by itself, and how it is told. */
import * as assert from "uvu/assert";
import { eventually } from "../helpers/timeout.ts";
import { codeOf, get, Hints, type OnStore, put, write } from "./cluster-store-subject.ts";

const TTL_MS = 1000;

export const addLeases = (on: OnStore): void => {
  on("deletes a lease's keys in one revision when it is revoked", async (subject) => {
    const { store, other, prefix } = subject;
    const { id } = await store.leaseGrant(60_000);
    const [a, b, c] = [`${prefix}a`, `${prefix}b`, `${prefix}c`];
    const from = await write(store, put(a, "", id), put(b, "", id), put(c, "", id));
    assert.is((await get(store, a))?.lease, id);
    await write(store, put(c, "stays"));
    const hints = new Hints();
    const watch = other.watch(prefix, from + 2, hints.listener);
    await store.leaseRevoke(id);
    await hints.until(({ changes }) => changes.length === 2);
    watch.close();
    assert.equal(hints.told(prefix), [`-a@${from + 2}`, `-b@${from + 2}`]);
    assert.equal(
      (await store.list(prefix)).found.map(({ value }) => value),
      ["stays"],
    );
    await store.leaseRevoke(id);
  });

  on("writes nothing under a lease that is not there", async ({ store, prefix }) => {
    const { id } = await store.leaseGrant(60_000);
    await store.leaseRevoke(id);
    const success = [put(`${prefix}a`, ""), put(`${prefix}b`, "", id)];
    const call = () => store.txn({ compares: [], success, failure: [] });
    assert.is(await codeOf(call), "CLUSTER_STORE_LEASE_GONE");
    assert.equal((await store.list(prefix)).found, []);
    assert.is(await codeOf(() => store.leaseKeepAlive(id)), "CLUSTER_STORE_LEASE_GONE");
    // Not on the branch that is done.
    const absent = { type: "version", key: `${prefix}a`, relation: "=", number: 0 } as const;
    await store.txn({ compares: [absent], success: [], failure: success });
  });

  on("ends a lease that is not kept alive, and not one that is", async (subject) => {
    const { store, prefix, passTime } = subject;
    const [kept, left] = [await store.leaseGrant(TTL_MS), await store.leaseGrant(TTL_MS)];
    assert.ok(kept.ttlMs >= TTL_MS);
    await write(store, put(`${prefix}kept`, "", kept.id), put(`${prefix}left`, "", left.id));
    await eventually("the lease ends", 20_000, async () => {
      await passTime(TTL_MS / 2);
      await store.leaseKeepAlive(kept.id);
      return (await get(store, `${prefix}left`)) === null;
    });
    assert.is((await get(store, `${prefix}kept`))?.lease, kept.id);
    await store.leaseRevoke(kept.id);
  });
};

export const addWatches = (on: OnStore): void => {
  on("tells what changed from a revision on, past and future, in order", async (subject) => {
    const { store, other, prefix } = subject;
    await write(store, put(`${prefix}a`, "before"));
    const from = await write(store, put(`${prefix}a`, "1"), put(`${prefix}b`, "1"));
    await write(store, put(`${prefix.slice(0, -1)}`, "beside"));
    const hints = new Hints();
    const watch = other.watch(prefix, from, hints.listener);
    assert.equal(hints.changes, [], "never before the call returns");
    await hints.until(({ changes }) => changes.length === 2);
    const last = await write(store, { type: "delete", key: `${prefix}a` }, put(`${prefix}c`, ""));
    await hints.until(({ changes }) => changes.length === 4);
    assert.equal(hints.told(prefix).slice(0, 2), [`+a@${from}`, `+b@${from}`]);
    assert.equal(hints.told(prefix).slice(2).sort(), [`+c@${last}`, `-a@${last}`]);
    watch.close();
    const silent = hints.changes.length;
    const second = new Hints();
    const after = other.watch(prefix, last + 1, second.listener);
    await write(store, put(`${prefix}d`, ""));
    await second.until(({ changes }) => changes.length === 1);
    assert.is(hints.changes.length, silent, "a closed watch tells nothing");
    after.close();
  });

  on("ends a watch of revisions that are forgotten", async (subject) => {
    const { store, prefix, compact } = subject;
    const from = await write(store, put(`${prefix}a`, "1"));
    const last = await write(store, put(`${prefix}a`, "2"));
    await compact(last);
    const hints = new Hints();
    store.watch(prefix, from, hints.listener);
    await hints.until(({ ended }) => ended !== null);
    assert.is(hints.ended?.code, "CLUSTER_STORE_COMPACTED");
    const { revision, found } = await store.list(prefix);
    assert.equal(
      found.map(({ value }) => value),
      ["2"],
    );
    const again = new Hints();
    const watch = store.watch(prefix, revision + 1, again.listener);
    await write(store, put(`${prefix}a`, "3"));
    await again.until(({ changes }) => changes.length === 1);
    watch.close();
  });
};
