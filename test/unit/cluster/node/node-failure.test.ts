/** The document's chapter 4.1, in its order; and a node that dies at any step of anything. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { joinArray } from "../../../../src/cluster/node/cluster-driver.ts";
import type { ClusterCall } from "../../../../src/raid/cluster-port.ts";
import { ClusterHost, ClusterWorld, QUICK } from "../../../helpers/cluster-host.ts";
import { DEVICE_UUID } from "../../../helpers/md-messages.ts";
import { MortalStore } from "../../../helpers/mortal-store.ts";

const test = suite("cluster node: node failure");
const PROTOCOLS = ["channel", "literal"] as const;

const holderOf = (host: ClusterHost, resource: string): string | undefined => {
  const lock = host.view.locks.find((one) => one.resource === resource);
  const held = lock?.granted.find(({ granted }) => granted !== "NL");
  return held === undefined ? undefined : `${held.node} ${held.granted}`;
};

const condition = (host: ClusterHost, slot: number) => host.view.slots[slot]?.condition;

for (const protocol of PROTOCOLS) {
  test(`${protocol}: the recovery steps in the document's order (4.1)`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    const c = await world.enter("c");
    await world.ok(a, { type: "resync-start" });
    await world.ok(a, { type: "resync-info-update", lo: 0, hi: 64 });
    for (const host of [b, c]) host.log.length = 0;
    b.holds = new Set(["recover-slot"]);
    const gate = a.gateUntil;
    a.die();
    await world.until("the member key is gone", () => condition(b, 0) !== "live");
    assert.equal(
      [b.isSuspended, c.isSuspended],
      [true, true],
      "reads are not balanced from now on",
    );
    await world.until("b is told", () => b.held !== null);
    assert.ok(world.clock.now() > gate, "a can write no more");
    assert.is(holderOf(b, "bitmap0000"), "b PW", "acquires the bitmap lock of the failed node");
    assert.equal(b.held, { type: "recover-slot", slot: 0 });
    assert.is(condition(c, 0), "recovering");
    assert.equal(b.view.ranges, [], "its range is nobody's");
    assert.match(
      c.view.waits.join("\n"),
      /waiting for node 2 \(b\) to recover the bitmap of node 1/,
    );
    b.carryOut();
    await world.until("the slot is free", () => condition(c, 0) === "free");
    assert.is(holderOf(b, "bitmap0000"), undefined, "releases it");
    assert.is(holderOf(b, "resync"), undefined, "a's lock was purged");
    assert.equal(c.notices, ["resyncing 0 0 0"], "c has nothing to recover");
    assert.equal([b.isSuspended, c.isSuspended], [true, true], "until the pass is over");
    await world.ok(b, { type: "resync-start" });
    await world.rest(2000);
    assert.is(c.isSuspended, true);
    await world.ok(b, { type: "resync-finish" });
    await world.until("reads are balanced", () => !b.isSuspended && !c.isSuspended);
    world.end();
  });

  test(`${protocol}: a right that was asked for before a slot was recovered is not its pass`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    const c = await world.enter("c");
    await world.ok(c, { type: "resync-start" });
    const early = a.ask({ type: "resync-start" });
    b.die();
    await world.until("the slot is free", () => condition(a, 1) === "free");
    await world.ok(c, { type: "resync-finish" });
    assert.is((await world.answered(a, early)).ok, true);
    await world.ok(a, { type: "resync-finish" });
    await world.rest(2000);
    assert.equal([a.isSuspended, c.isSuspended], [true, true], "its copies may differ");
    await world.pass(a);
    await world.until("reads are balanced", () => !a.isSuspended && !c.isSuspended);
    world.end();
  });

  test(`${protocol}: while a node rests, the end of who changes the array comes first`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    const c = await world.enter("c");
    b.log.length = 0;
    await world.ok(a, { type: "metadata-update-start" });
    c.die();
    a.ask({ type: "bitmap-resize", sectors: 8 });
    const rests = (one: string): boolean => one.startsWith("bitmap-resize");
    await world.until("b rests", () => b.notices.some(rests));
    await world.rest(4000);
    a.die();
    const recovered = (): readonly string[] => b.notices.filter((one) => one.startsWith("recover"));
    await world.until("both are recovered", () => recovered().length >= 2);
    assert.equal(recovered(), ["recover-slot 0", "recover-slot 2"]);
    world.end();
  });

  test(`${protocol}: who changed the array dies: nothing that a node at rest cannot do is told before an update`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    const c = await world.enter("c");
    await world.ok(b, { type: "resync-start" });
    b.refuses = new Set(["bitmap-resize"]);
    await world.ok(a, { type: "metadata-update-start" });
    const answer = await world.ask(a, { type: "bitmap-resize", sectors: 8 });
    assert.is(answer.ok, false);
    a.die();
    c.log.length = 0;
    c.holds = new Set(["resyncing", "remove"]);
    const waiting = [
      b.ask({ type: "resync-info-update", lo: 0, hi: 64 }),
      b.ask({ type: "remove-disk", deviceNumber: 3 }),
    ];
    await world.until("a is recovered", () => condition(c, 0) === "free");
    assert.equal([b.held, c.held], [null, null], "c rests, and would keep the update from coming");
    assert.match(b.view.waits.join("\n"), /update that ends the rest of others, to send RESYNCING/);
    await world.ok(b, { type: "metadata-update-start" });
    const another = await world.ask(b, { type: "bitmap-resize", sectors: 8 });
    assert.is(another.ok ? "" : another.code, "CLUSTER_NODE_BUSY", "an update comes first");
    c.holds = new Set();
    await world.ok(b, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
    await world.until("all is told", () => waiting.every((id) => b.answers.has(id)));
    const told = c.notices.filter((one) => !one.startsWith("recover-slot"));
    assert.is(told[0], "metadata-updated 1 1");
    assert.equal(told.slice(1).sort(), ["remove 3", "resyncing 1 0 64"]);
    await world.ok(b, { type: "resync-finish" });
    await world.ok(b, { type: "metadata-update-start" });
    b.refuses = new Set();
    await world.ok(b, { type: "bitmap-resize", sectors: 8 });
    world.end();
  });

  test(`${protocol}: a recoverer that dies in the middle is followed by another one, for both slots`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    const c = await world.enter("c");
    for (const host of [b, c]) host.holds = new Set(["recover-slot"]);
    a.die();
    await world.until("b recovers", () => b.held !== null);
    const gate = (): number => b.gateUntil;
    b.die();
    await world.until("c recovers", () => c.held !== null);
    assert.ok(world.clock.now() > gate(), "b can write no more");
    c.holds = new Set();
    c.carryOut();
    const recovered = (): readonly string[] => c.notices.filter((one) => one.startsWith("recover"));
    await world.until("both are recovered", () => recovered().length >= 3);
    await world.until(
      "both are free",
      () => condition(c, 0) === "free" && condition(c, 1) === "free",
    );
    assert.equal([...recovered()].slice(-2).sort(), ["recover-slot 0", "recover-slot 1"]);
    await world.pass(c);
    await world.until("reads are balanced", () => !c.isSuspended);
    world.end();
  });

  test(`${protocol}: the lower members do what is due; a stuck one is not waited for`, async () => {
    const world = ClusterWorld.embedded(protocol);
    const a = await world.enter("a");
    const b = await world.enter("b");
    const c = await world.enter("c");
    // b's array is busy with a message for ever: it recovers nothing.
    b.holds = new Set(["remove"]);
    const sent = c.ask({ type: "remove-disk", deviceNumber: 1 });
    await world.until("b is busy", () => b.held !== null);
    a.die();
    await world.until("the slot is taken", () => condition(c, 0) === "recovering");
    await world.rest(3000);
    b.carryOut();
    assert.equal(await world.answered(c, sent), { ok: true });
    await world.until("the slot is free", () => condition(c, 0) === "free");
    world.end();
  });
}

/** What a node does when it dies; each call is made when the last one is answered. */
const STORIES: Readonly<Record<string, readonly ClusterCall[]>> = {
  update: [
    { type: "metadata-update-start" },
    { type: "metadata-update-finish", deviceNumber: 7, events: 1 },
  ],
  device: [
    { type: "add-new-disk-start", uuid: DEVICE_UUID, deviceNumber: 2 },
    { type: "add-new-disk-finish", isAdded: true },
    { type: "metadata-update-start" },
    { type: "metadata-update-finish", deviceNumber: 7, events: 1 },
  ],
  resync: [
    { type: "resync-start" },
    { type: "resync-info-update", lo: 0, hi: 64 },
    { type: "resync-info-update", lo: 64, hi: 128 },
    { type: "resync-finish" },
  ],
  remove: [{ type: "remove-disk", deviceNumber: 7 }],
  leave: [{ type: "leave", needsSync: true }],
};

/** Survivors agree in what was told, go on, and owe nothing. */
const checkSurvivors = async (
  world: ClusterWorld,
  survivors: readonly ClusterHost[],
  what: string,
): Promise<void> => {
  const [first] = survivors;
  assert.ok(first !== undefined);
  await world.until(`${what}: its slot is free`, () => condition(first, 0) === "free");
  for (const host of survivors) await world.pass(host);
  await world.ok(first, { type: "metadata-update-start" });
  await world.ok(first, { type: "metadata-update-finish", deviceNumber: 99, events: 1 });
  const isQuiet = (): boolean =>
    survivors.every((host) => !host.isSuspended && host.view.waits.length === 0);
  await world.until(`${what}: all is quiet`, isQuiet);
  const told = survivors.map(({ notices }) => notices.filter((one) => / 7$/.test(one)));
  for (const one of told) assert.equal(one, told[0], `${what}: all or none have processed it`);
  const recovered = survivors.flatMap(({ notices }) =>
    notices.filter((one) => one === "recover-slot 0"),
  );
  assert.ok(recovered.length <= 1, `${what}: recovered once`);
  for (const host of survivors) assert.equal(host.view.ranges, [], what);
};

/** `at` counts its transactions from the first on the key, each before it is made and after. */
const dieAt = (store: MortalStore, at: number, key: string | null = null): void => {
  store.isMade = at % 2 === 0;
  store.left = at >> 1;
  if (key === null) return;
  store.counts = ({ success }) => success.some((op) => op.type === "put" && op.key === key);
};

/** Runs a story until the node dies; false: it did not. */
const tell = async (
  world: ClusterWorld,
  { host, store }: { readonly host: ClusterHost; readonly store: MortalStore },
  calls: readonly ClusterCall[],
): Promise<boolean> => {
  for (const call of calls) {
    const id = host.ask(call);
    await world.until("an answer, or the end", () => host.answers.has(id) || host.isDead);
    if (host.isDead) return true;
  }
  store.left = null;
  return false;
};

for (const protocol of PROTOCOLS)
  for (const [name, calls] of Object.entries(STORIES))
    test(`${protocol}: a node that dies at any transaction of "${name}"`, async () => {
      let deaths = 0;
      for (let at = 0; ; at += 1) {
        const world = ClusterWorld.embedded(protocol);
        world.timing = QUICK;
        const mortal = await world.enterMortal("a");
        const b = await world.enter("b");
        const c = await world.enter("c");
        dieAt(mortal.store, at);
        if (!(await tell(world, mortal, calls))) {
          world.end();
          break;
        }
        deaths += 1;
        await checkSurvivors(world, [b, c], `${name} ${at}`);
        world.end();
      }
      assert.ok(deaths >= 2, `${deaths} deaths`);
    });

for (const protocol of PROTOCOLS)
  test(`${protocol}: a recoverer that dies at any transaction is followed by another one`, async () => {
    let deaths = 0;
    for (let at = 0; ; at += 1) {
      const world = ClusterWorld.embedded(protocol);
      world.timing = QUICK;
      const { host: b, store } = await world.enterMortal("b");
      const a = await world.enter("a");
      const c = await world.enter("c");
      dieAt(store, at, world.keys.slot(2));
      const isFree = (slot: number): boolean => condition(c, slot) === "free";
      a.die();
      await world.until("a's slot is free, or b dies", () => b.isDead || isFree(1));
      if (!b.isDead) {
        world.end();
        break;
      }
      deaths += 1;
      await world.until(`${at}: both slots are free`, () => isFree(0) && isFree(1));
      await world.pass(c);
      await world.until(`${at}: reads are balanced`, () => !c.isSuspended);
      await world.ok(c, { type: "metadata-update-start" });
      await world.ok(c, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
      const taken = [...b.notices, ...c.notices].filter((one) => one === "recover-slot 1");
      assert.ok(taken.length >= 1, `${at}: its bits are somebody's`);
      world.end();
    }
    assert.ok(deaths >= 8, `${deaths} deaths`);
  });

for (const protocol of PROTOCOLS)
  test(`${protocol}: who recovers one slot and waits for what another dead one holds gets it`, async () => {
    let deaths = 0;
    for (let at = 0; ; at += 1) {
      const world = ClusterWorld.embedded(protocol);
      world.timing = QUICK;
      const { host: a, store } = await world.enterMortal("a");
      const b = await world.enter("b");
      const c = await world.enter("c");
      const d = await world.enter("d");
      dieAt(store, at, world.keys.slot(3));
      // c dies with the right to send, and a with c's slot; d has begun with b's by then.
      await world.ok(c, { type: "metadata-update-start" });
      c.die();
      await world.rest(QUICK.confirmMs);
      b.die();
      const isFree = (slot: number): boolean => condition(d, slot) === "free";
      await world.until("c's slot is free, or a dies", () => a.isDead || isFree(2));
      if (!a.isDead) {
        world.end();
        break;
      }
      deaths += 1;
      await world.until(`${at}: all slots are free`, () => [0, 1, 2].every(isFree));
      await world.pass(d);
      await world.until(`${at}: reads are balanced`, () => !d.isSuspended);
      world.end();
    }
    assert.ok(deaths >= 8, `${deaths} deaths`);
  });

for (const protocol of PROTOCOLS)
  test(`${protocol}: a node that dies at any step of its join harms nobody (B5)`, async () => {
    for (let at = 0; ; at += 1) {
      const world = ClusterWorld.embedded(protocol);
      world.timing = QUICK;
      const b = await world.enter("b");
      const store = new MortalStore(world.client());
      const host = new ClusterHost("a");
      store.left = at;
      let isDead = false;
      store.die = () => {
        isDead = true;
      };
      let isIn = false;
      void joinArray(world.options(host, { store })).then(
        async (cluster) => {
          host.cluster = cluster;
          await cluster.start();
          isIn = true;
        },
        () => {},
      );
      await world.until("it dies, or is in", () => isDead || isIn);
      if (!isDead) {
        host.die();
        world.end();
        break;
      }
      await world.until("its slot is free", () => condition(b, 1) === "free");
      await world.pass(b);
      await world.until("reads are balanced", () => !b.isSuspended);
      await world.ok(b, { type: "metadata-update-start" });
      await world.ok(b, { type: "metadata-update-finish", deviceNumber: 1, events: 1 });
      const c = await world.enter("c");
      assert.is(c.slot, 1);
      if (host.cluster !== null) host.die();
      world.end();
    }
  });

test.run();
