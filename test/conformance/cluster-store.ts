/**
 * What every cluster store does, whatever is behind it: the contract in the head of
 * src/cluster/store/cluster-store.ts. A run file gives the suite a factory.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Compare } from "../../src/cluster/store/cluster-store.ts";
import { testGuards } from "../../src/cluster/store/etcd-start-client.ts";
import { skipUnless } from "../helpers/skip.ts";
import { withTimeout } from "../helpers/timeout.ts";
import { addLeases, addWatches } from "./cluster-store-events.ts";
import {
  codeOf,
  get,
  type OnStore,
  put,
  type StoreFactory,
  txn,
  write,
} from "./cluster-store-subject.ts";

const LIMIT_MS = 30_000;

const addCompares = (on: OnStore): void => {
  on("holds every relation against a key that is there and one that is not", async (subject) => {
    const { store, prefix } = subject;
    const [here, gone] = [`${prefix}here`, `${prefix}gone`];
    await write(store, put(here, "1"));
    const mod = await write(store, put(here, "2"));
    const create = (await get(store, here))?.createRevision ?? 0;
    const cases: [boolean, Compare][] = [
      [true, { type: "value", key: here, relation: "=", value: "2" }],
      [false, { type: "value", key: here, relation: "=", value: "1" }],
      [true, { type: "value", key: here, relation: "!=", value: "1" }],
      [false, { type: "value", key: gone, relation: "=", value: "" }],
      [false, { type: "value", key: gone, relation: "!=", value: "1" }],
    ];
    const numbers = { "create-revision": create, "mod-revision": mod, version: 2 } as const;
    for (const [type, number] of Object.entries(numbers)) {
      for (const [key, is] of [
        [here, number],
        [gone, 0],
      ] as const) {
        for (const against of [0, is - 1, is, is + 1].filter((candidate) => candidate >= 0)) {
          const compare = { type: type as keyof typeof numbers, key, number: against };
          cases.push([is === against, { ...compare, relation: "=" }]);
          cases.push([is !== against, { ...compare, relation: "!=" }]);
          cases.push([is < against, { ...compare, relation: "<" }]);
          cases.push([is > against, { ...compare, relation: ">" }]);
        }
      }
    }
    for (const [holds, compare] of cases) {
      const { type } = await txn(store, [compare], []);
      assert.is(type, holds ? "committed" : "refused", JSON.stringify(compare));
    }
  });

  on("does one branch or the other, whole", async ({ store, prefix }) => {
    const [a, b] = [`${prefix}a`, `${prefix}b`];
    const absent: Compare = { type: "version", key: a, relation: "=", number: 0 };
    const ops = [put(a, "first"), put(b, "first")];
    const made = await txn(store, [absent], ops, [{ type: "get", key: a }]);
    assert.is(made.type, "committed");
    assert.equal(made.results, [{ type: "put" }, { type: "put" }]);
    const again = await txn(store, [absent], ops, [
      { type: "get", key: a },
      { type: "delete", key: b },
      { type: "delete", key: `${prefix}none` },
    ]);
    assert.is(again.type, "refused");
    const now = { key: a, value: "first", createRevision: made.revision, version: 1, lease: null };
    assert.equal(again.results, [
      { type: "get", found: { ...now, modRevision: made.revision } },
      { type: "delete", wasThere: true },
      { type: "delete", wasThere: false },
    ]);
    assert.is(await get(store, b), null);
  });

  on("passes the guards' test at the start", async ({ store, prefix }) => {
    await testGuards(store, prefix);
    assert.equal((await store.list(prefix)).found, []);
  });
};

const addRevisions = (on: OnStore): void => {
  on("gives each write the next revision, and each life of a key another", async (subject) => {
    const { store, prefix } = subject;
    const key = `${prefix}k`;
    const first = await write(store, put(key, ""));
    const second = await write(store, put(key, "x"), put(`${prefix}l`, "y"));
    assert.ok(second > first);
    const expected = { key, value: "x", createRevision: first, modRevision: second, version: 2 };
    assert.equal(await get(store, key), { ...expected, lease: null });
    assert.is((await get(store, `${prefix}l`))?.modRevision, second);
    await write(store, { type: "delete", key });
    const third = await write(store, put(key, "again"));
    const { createRevision, version } = (await get(store, key)) ?? {};
    assert.equal({ createRevision, version }, { createRevision: third, version: 1 });
    assert.ok(store.identity.revision >= third);
    assert.not.equal(store.identity.clusterId, "");
  });

  on("counts no revision for what changes nothing", async ({ store, prefix }) => {
    const before = await write(store, put(`${prefix}k`, "1"));
    const after = await write(store, { type: "delete", key: `${prefix}none` });
    assert.is(after, before);
  });

  on("lets an operation see those before it", async ({ store, prefix }) => {
    const key = `${prefix}k`;
    const list = { type: "list", prefix } as const;
    const { results, revision } = await txn(store, [], [list, put(key, "1"), list]);
    const now = { key, value: "1", createRevision: revision, modRevision: revision, version: 1 };
    assert.equal(results, [
      { type: "list", found: [] },
      { type: "put" },
      { type: "list", found: [{ ...now, lease: null }] },
    ]);
  });

  on("lists what begins with the prefix, by key, and nothing beside", async (subject) => {
    const { store, other, prefix } = subject;
    for (const name of ["a/2", "a/10", "a/1", "a0", "a", "a.", "a/~"])
      await write(store, put(prefix + name, name));
    const { found } = await other.list(`${prefix}a/`);
    assert.equal(
      found.map(({ value }) => value),
      ["a/1", "a/10", "a/2", "a/~"],
    );
    assert.equal((await store.list(`${prefix}b`)).found, []);
  });

  on("loses no increment of two that race", async ({ store, other, prefix }) => {
    const key = `${prefix}n`;
    await write(store, put(key, "0"));
    const count = async (handle: typeof store): Promise<void> => {
      let now = await get(handle, key);
      for (let done = 0; done < 25; ) {
        const guard = { type: "mod-revision", key, relation: "=" } as const;
        const compares = [{ ...guard, number: now?.modRevision ?? 0 }];
        const next = put(key, String(Number(now?.value) + 1));
        const outcome = await txn(handle, compares, [next], [{ type: "get", key }]);
        if (outcome.type === "committed") done += 1;
        const [result] = outcome.results;
        now = result?.type === "get" ? result.found : await get(handle, key);
      }
    };
    await Promise.all([count(store), count(other)]);
    assert.is((await get(store, key))?.value, "50");
  });
};

const addLimits = (on: OnStore): void => {
  on("keeps every text up to 64 KiB", async ({ store, prefix }) => {
    const values = ["", '\0\t\n"\\', "ä€😀\ufeff", '{"compare":[]}', "x".repeat(65_536)];
    for (const value of [...values, "€".repeat(21_845)]) {
      await write(store, put(`${prefix}!~`, value));
      assert.is((await get(store, `${prefix}!~`))?.value, value);
    }
  });

  on("refuses what breaks a limit, and writes nothing", async ({ store, prefix }) => {
    const key = `${prefix}k`;
    const many = Array.from({ length: 65 }, (_, at) => put(`${key}${at}`, ""));
    const bad = [
      [put("", "")],
      [put(`${prefix} `, "")],
      [put(`${prefix}ä`, "")],
      [put("k".repeat(513), "")],
      [put(key, "x".repeat(65_537))],
      [put(key, "€".repeat(21_846))],
      [put(key, "\ud800")],
      [put(key, "", "0")],
      [put(key, "", "1; drop")],
      [put(key, "1"), { type: "delete", key } as const],
      many,
      Array.from({ length: 17 }, (_, at) => put(`${key}${at}`, "x".repeat(65_000))),
    ];
    for (const success of bad)
      assert.is(
        await codeOf(() => store.txn({ compares: [], success, failure: [] })),
        "CLUSTER_STORE_BAD_REQUEST",
        JSON.stringify(success).slice(0, 80),
      );
    const large = Array.from({ length: 16 }, (_, at) => put(`${key}l${at}`, "x".repeat(65_536)));
    await write(store, ...large);
    await write(store, ...large.map((_, at) => ({ type: "delete", key: `${key}l${at}` }) as const));
    const compare = { type: "version", key, relation: "=", number: -1 } as const;
    const guarded = { compares: [compare], success: [], failure: [] };
    assert.is(await codeOf(() => store.txn(guarded)), "CLUSTER_STORE_BAD_REQUEST");
    assert.is(await codeOf(() => store.list("")), "CLUSTER_STORE_BAD_REQUEST");
    assert.is(await codeOf(() => store.leaseGrant(1)), "CLUSTER_STORE_BAD_REQUEST");
    assert.equal((await store.list(prefix)).found, []);
  });

  on("refuses everything once closed", async ({ store, prefix }) => {
    await store.close();
    const calls = [
      () => store.list(prefix),
      () => store.txn({ compares: [], success: [], failure: [] }),
      () => store.leaseGrant(5000),
      () => store.watch(prefix, 1, () => {}),
    ];
    for (const call of calls) assert.is(await codeOf(call), "CLUSTER_STORE_CLOSED");
  });
};

/** Registered, to be run. */
export type Suite = ReturnType<typeof suite>;

export interface StoreSuiteOptions {
  /** What the machine must have for it. */
  readonly tools?: readonly string[];
  /** Frees what the factory shares between cases. */
  readonly after?: () => Promise<void>;
}

export const clusterStoreSuite = (
  name: string,
  factory: StoreFactory,
  options: StoreSuiteOptions = {},
): Suite => {
  const test = suite(name);
  const add = skipUnless(options.tools ?? [], test);
  const on: OnStore = (title, body) =>
    add(
      title,
      withTimeout(LIMIT_MS, async () => {
        const subject = await factory();
        try {
          await body(subject);
        } finally {
          await subject.dispose();
        }
      }),
    );
  for (const part of [addCompares, addRevisions, addLimits, addLeases, addWatches]) part(on);
  if (options.after !== undefined) test.after(options.after);
  return test;
};
