/** Boards become a cluster, lose members and get new ones, with a real etcd that they run. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EtcdStore } from "../../../src/cluster/store/etcd-store-client.ts";
import { EtcdAdmin } from "../../../src/life/etcd-admin-client.ts";
import { readIdentity } from "../../../src/life/identity-driver.ts";
import { TOKEN_LIFE_MS } from "../../../src/life/join-token.ts";
import { LifeMachine, type MachineSettings } from "../../helpers/life-machine.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

// wall-limit: 400 s

const test = suite("the life of a cluster");
const etcdTest = skipUnless("etcd", test);

const WAIT_MS = 60_000;
const BOARD = { role: "board", replaces: null } as const;

const codeOf = async (asked: Promise<unknown>): Promise<string> => {
  try {
    await asked;
    return "no error";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

/** Runs a story on machines that are removed whatever becomes of it. */
const story = (
  body: (machine: (name: string, more?: MachineSettings) => Promise<LifeMachine>) => Promise<void>,
) =>
  withTimeout(200_000, async () => {
    const machines: LifeMachine[] = [];
    try {
      await body(async (name, more = {}) => {
        const machine = new LifeMachine(name, more);
        machines.push(machine);
        await machine.on();
        return machine;
      });
    } finally {
      for (const machine of machines) await machine.remove();
    }
  });

const votersAre = async (machine: LifeMachine, wanted: readonly string[]): Promise<void> => {
  const isSo = (): boolean => machine.voters.join() === [...wanted].sort().join();
  await eventually(`voters ${wanted} on ${machine.name}`, WAIT_MS, isSo);
};

const joinBy = async (issuer: LifeMachine, machine: LifeMachine, purpose = BOARD as Purpose) => {
  await machine.life.join(issuer.life.createToken(purpose).text, null);
  await machine.settled();
  await issuer.settled();
};

type Purpose = Parameters<LifeMachine["life"]["createToken"]>[0];

etcdTest(
  "three boards: tokens, one vote for two and three for three, a dead board and new hardware for it",
  story(async (machine) => {
    const a = await machine("a", { graceMs: 4000 });
    const b = await machine("b");
    const c = await machine("c");
    assert.is(await codeOf(b.life.leave(false)), "LIFE_NO_CLUSTER");
    await a.life.create("attic");
    assert.is(await codeOf(a.life.create("other")), "LIFE_IN_CLUSTER");

    // Tokens: what is forged, expired, or of another cluster, lets nobody in and starts nothing.
    const stranger = await machine("stranger");
    await stranger.life.create("attic");
    const foreign = stranger.life.createToken(BOARD).text;
    const [id, secret] = partsOf(foreign).slice(1, 3);
    const forged = withParts(a.life.createToken(BOARD).text, { 1: id, 2: secret });
    assert.is(await codeOf(b.life.join(forged, null)), "LIFE_TOKEN_REFUSED");
    const elsewhere = withParts(a.life.createToken(BOARD).text, { 4: partsOf(foreign)[4] });
    assert.is(await codeOf(b.life.join(elsewhere, null)), "LIFE_WRONG_CLUSTER");
    const misnamed = withParts(a.life.createToken(BOARD).text, { 3: "cellar" });
    assert.is(await codeOf(b.life.join(misnamed, null)), "LIFE_WRONG_CLUSTER");
    const nobody = { role: "board", replaces: "nobody" } as const;
    assert.is(await codeOf((async () => a.life.createToken(nobody))()), "LIFE_NO_SUCH_BOARD");
    const old = a.life.createToken(BOARD).text;
    a.clockError = TOKEN_LIFE_MS + 1;
    assert.is(await codeOf(b.life.join(old, null)), "LIFE_TOKEN_EXPIRED");
    a.clockError = 0;
    assert.is(a.etcdPid, null);

    // The newcomer's clock says 1970; that is no matter of its.
    b.clockError = -Date.now();
    const token = a.life.createToken(BOARD).text;
    await b.life.join(token, null);
    await b.settled();
    await a.settled();
    assert.is(await codeOf(c.life.join(token, null)), "LIFE_TOKEN_USED");
    await votersAre(b, ["a"]);
    const said = b.life.status.sight?.quorum;
    assert.equal([said?.state, said?.isWitnessMissing], ["at-risk", true]);
    assert.is(await codeOf(c.life.join(a.life.createToken(BOARD).text, "b")), "LIFE_NAME_TAKEN");

    await joinBy(b, c);
    await votersAre(a, ["a", "b", "c"]);
    await votersAre(c, ["a", "b", "c"]);
    assert.is(readIdentity(`${c.folder}/cluster`)?.endpoints.length, 3);
    await checkCopy(a);

    // Who was told of one member only learns of the others, and goes on without that one.
    const { ca, own, endpoints } = readIdentity(`${c.folder}/cluster`) ?? assertIdentity();
    const [known = ""] = endpoints.filter((url) => url.endsWith(portOf(c)));
    const store = new EtcdStore({ endpoints: [known], tls: { ca, ...own }, learnsMembers: true });
    await store.learnMembers();
    assert.is(store.endpoints.length, 3);

    // A board dies with its etcd. The two others go on and can change the cluster.
    await c.die();
    await votersAre(a, ["a", "b"]);
    assert.ok((await store.list("/satsuma-life/")).found.length > 0);
    await store.close();
    assert.is(await codeOf(b.life.evict("b", true)), "LIFE_EVICT_SELF");
    const again = await machine("c");
    await joinBy(b, again, { role: "board", replaces: "c" });
    await votersAre(a, ["a", "b", "c"]);
    assert.is(again.life.status.sight?.view.records.length, 3);

    // The hardware that was replaced comes back: etcd does not let it in.
    const gone = readIdentity(`${c.folder}/cluster`);
    assert.ok(gone);
    const admin = new EtcdAdmin({ ca: gone.ca, ...gone.own });
    const [endpoint = ""] = a.life.status.sight?.etcd.members[0]?.clientUrls ?? [];
    assert.is(await codeOf(admin.status(endpoint)), "LIFE_ETCD_AWAY");
    admin.close();
  }),
);

etcdTest(
  "a witness gives two boards a third vote; a board is renamed, one leaves, the last one too",
  story(async (machine) => {
    const a = await machine("a");
    const b = await machine("b");
    const w = await machine("w", { role: "witness" });
    await a.life.create("attic");
    await joinBy(a, b);
    await joinBy(b, w, { role: "witness", replaces: null });
    await votersAre(a, ["a", "b", "w"]);
    const quorum = a.life.status.sight?.quorum;
    assert.equal([quorum?.state, quorum?.spareVotes], ["quorate", 1]);
    assert.is(readIdentity(`${w.folder}/cluster`)?.caKey, null);

    await a.life.rename("b", "cellar");
    await eventually("b is called cellar", WAIT_MS, async () => {
      await b.settled();
      return b.life.identity?.board === "cellar";
    });
    await votersAre(a, ["a", "cellar", "w"]);

    // etcd on a dies and is started again; nobody has to do anything.
    const before = a.etcdPid;
    a.killEtcd();
    await eventually("etcd on a again", WAIT_MS, async () => a.etcdPid !== before);
    await votersAre(b, ["a", "cellar", "w"]);

    // The first board leaves: its vote goes first, and two without a witness's help have one.
    await a.life.leave(false);
    await a.settled();
    assert.is(a.life.identity, null);
    await eventually("one vote", WAIT_MS, async () => b.voters.length === 1);
    await b.life.evict("w", false);
    await eventually("the witness is out", WAIT_MS, async () => {
      await w.settled();
      return w.life.identity === null;
    });
    await b.life.leave(false);
    await b.settled();
    assert.equal([b.life.identity, b.etcdPid], [null, null]);
  }),
);

etcdTest(
  "a full etcd is told and gets room again by itself",
  story(async (machine) => {
    const quotaBytes = 2 * 1024 * 1024;
    const a = await machine("a", { quotaBytes });
    const b = await machine("b", { quotaBytes });
    await a.life.create("attic");
    await joinBy(a, b);
    await votersAre(b, ["a"]);
    const { ca, own, endpoints } = readIdentity(`${b.folder}/cluster`) ?? assertIdentity();
    const store = new EtcdStore({ endpoints, tls: { ca, ...own } });
    const put = async (): Promise<string> => {
      const value = "x".repeat(60_000);
      const success = [{ type: "put", key: "/filler", value, lease: null }] as const;
      return await codeOf(store.txn({ compares: [], success, failure: [] }));
    };
    let isFull = false;
    for (let count = 0; count < 200 && !isFull; count += 1)
      isFull = (await put()) === "CLUSTER_STORE_NO_SPACE";
    assert.ok(isFull, "etcd was filled");
    const told = (): readonly string[] => [...a.events, ...b.events].map(({ type }) => type);
    await eventually("it is told", WAIT_MS, () => told().includes("cluster.store-freed"));
    assert.is(told().filter((type) => type === "cluster.store-full").length, 1);
    assert.is(await put(), "no error");
    await store.close();
  }),
);

/** A copy is there; its last 32 bytes are the digest of all others, as etcdctl wants it. */
const checkCopy = async ({ folder }: LifeMachine): Promise<void> => {
  const copies = join(folder, "cluster", "snapshots");
  const [name = ""] = await eventually("a copy of etcd", WAIT_MS, () => {
    const names = readdirSync(copies).filter((one) => one.endsWith(".db"));
    return names.length > 0 && names;
  });
  const copy = readFileSync(join(copies, name));
  const digest = createHash("sha256").update(copy.subarray(0, -32)).digest();
  assert.equal(copy.subarray(-32), digest);
};

const portOf = ({ life }: LifeMachine): string => `:${life.identity?.ports.etcdClient}`;

const assertIdentity = (): never => {
  throw new Error("no identity");
};

const partsOf = (text: string): readonly unknown[] =>
  JSON.parse(Buffer.from(text.slice("satsuma-join-".length), "base64url").toString());

const withParts = (text: string, parts: Readonly<Record<number, unknown>>): string => {
  const all = partsOf(text).map((part, at) => (at in parts ? parts[at] : part));
  return `satsuma-join-${Buffer.from(JSON.stringify(all)).toString("base64url")}`;
};

test.run();
