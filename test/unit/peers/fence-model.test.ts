/**
 * The fence against a dumb model, over keys in a real map: sessions join, leave and vanish, the
 * exporter's sight is late, writes into the store are lost or late, requests hang. Never does a
 * request begin after the end of its session was acknowledged; in the end every end is.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BoardKeys, clusterPrefix } from "../../../src/cluster/store/board-keys.ts";
import type { KeyChange } from "../../../src/cluster/store/cluster-store.ts";
import { KeyView } from "../../../src/cluster/store/key-view.ts";
import { encodeMember } from "../../../src/cluster/store/member-records.ts";
import { RevisionedMap } from "../../../src/cluster/store/revisioned-map.ts";
import { StoreKeys } from "../../../src/cluster/store/store-keys.ts";
import type { Prng } from "../../../src/common/prng.ts";
import { FenceKeys } from "../../../src/peers/fence-keys.ts";
import { FenceLedger, type LedgerEffect, type SlotEpoch } from "../../../src/peers/fence-ledger.ts";
import type { PeerSession } from "../../../src/peers/member-name.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("fence ledger, model");
const UUIDS = ["aaaaaaaa-0000", "bbbbbbbb-0000"];
const SLOTS = 3;
const DISKS = ["disk1", "disk2"];
const BOARDS = ["board1", "board2", "board3"];
const ME = "board2";

interface Connection {
  readonly session: Extract<PeerSession, { kind: "node" }>;
  readonly disk: string;
  state: "asking" | "open" | "closing" | "gone";
  atDevice: number;
}

type Acknowledge = Extract<LedgerEffect, { type: "acknowledge" }>;

class World {
  readonly map = new RevisionedMap();
  readonly view = new KeyView();
  readonly ledger = new FenceLedger(ME, 64);
  readonly connections: Connection[] = [];
  readonly #prng: Prng;
  readonly #keys = new FenceKeys("attic", ME);
  readonly #boards = new BoardKeys("attic");
  /** Changes that the exporter has not seen. */
  #unseen: KeyChange[] = [];
  /** Acknowledgements on their way to the store. */
  #writing: { readonly effect: Acknowledge; readonly life: number }[] = [];
  #ownAsked: SlotEpoch[] = [];
  /** Sessions in which this board itself uses its disks. */
  #ownUses: SlotEpoch[] = [];
  #life = 0;
  acknowledged = 0;
  begun = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  #write(puts: readonly (readonly [string, string | null])[]): number {
    const success = puts.map(([key, value]) =>
      value === null
        ? ({ type: "delete", key } as const)
        : ({ type: "put", key, value, lease: null } as const),
    );
    const { changes, revision } = this.map.apply({ compares: [], success, failure: [] });
    this.#unseen.push(...changes);
    return revision;
  }

  keysOf(uuid: string): StoreKeys {
    return new StoreKeys(`${clusterPrefix("attic")}arrays/${uuid}/`);
  }

  #fd(uuid: string, slot: number): string {
    return this.keysOf(uuid).fence(ME, slot);
  }

  beginLife(): void {
    this.#life = this.#write([[this.#boards.board(ME), "life"]]);
    // The keys as a committed transaction lists them.
    const found = this.map.list(clusterPrefix("attic"));
    this.#unseen = [];
    this.#tell(this.view.learn([clusterPrefix("attic")], { revision: this.map.revision, found }));
    this.ledger.beginLife(this.#life);
    this.ledger.openGate(1);
    this.carryOut();
  }

  endLife(): void {
    const fences = UUIDS.flatMap((uuid) =>
      [1, 2, 3].map((slot) => [this.#fd(uuid, slot), null] as const),
    );
    this.#write([[this.#boards.board(ME), null], ...fences]);
    this.ledger.endLife("out");
    this.#life = 0;
    this.carryOut();
  }

  get lives(): boolean {
    return this.#life !== 0;
  }

  #tell(changes: readonly KeyChange[]): void {
    this.#keys.tell(this.ledger, changes, this.view.revision);
  }

  /** Some of what happened reaches the exporter, the last of each key perhaps only. */
  see(isAll: boolean): void {
    const count = isAll ? this.#unseen.length : this.#prng.below(this.#unseen.length + 1);
    const seen = this.#unseen.splice(0, count);
    this.#tell(this.view.change(seen));
    this.carryOut();
  }

  join(): void {
    const [uuid, slot] = [this.#prng.pick(UUIDS), 1 + this.#prng.below(SLOTS)];
    const keys = this.keysOf(uuid);
    const state = this.map.get(keys.slot(slot))?.value ?? "free";
    if (this.map.get(keys.member(slot)) !== null || state !== "free") return;
    const node = this.#prng.pick(BOARDS);
    const member = encodeMember({ node, boot: "b", life: "l", address: "", protocol: 1 });
    const epoch = this.#write([
      [keys.member(slot), member],
      [keys.slot(slot), "live"],
    ]);
    if (node === ME) this.#ownUses.push({ uuid, slot, epoch });
  }

  /** It leaves, or vanishes; a slot that vanished is free once its end was acknowledged here. */
  part(): void {
    const [uuid, slot] = [this.#prng.pick(UUIDS), 1 + this.#prng.below(SLOTS)];
    const keys = this.keysOf(uuid);
    const isMember = this.map.get(keys.member(slot)) !== null;
    const key = this.map.get(keys.slot(slot));
    if (isMember && this.#prng.chance(1, 4)) {
      this.#endOwn(uuid, slot, this.map.revision);
      this.#write([
        [keys.member(slot), null],
        [keys.slot(slot), "free"],
      ]);
    } else if (isMember) this.#write([[keys.member(slot), null]]);
    else if (key?.value === "live" && this.#isFenced(uuid, slot, key.modRevision))
      this.#write([[keys.slot(slot), this.#prng.pick(["dead 5", "free"])]]);
    else if (key?.value.startsWith("dead") === true) this.#write([[keys.slot(slot), "free"]]);
    else if (key?.value === "live" && this.#prng.chance(1, 4))
      this.#write([[keys.slot(slot), "live"]]);
  }

  #isFenced(uuid: string, slot: number, epoch: number): boolean {
    const value = this.map.get(this.#fd(uuid, slot))?.value ?? null;
    return this.lives && value !== null && Number(value) >= epoch;
  }

  ask(): void {
    const [uuid, slot] = [this.#prng.pick(UUIDS), 1 + this.#prng.below(SLOTS)];
    const member = this.map.get(this.keysOf(uuid).member(slot));
    if (member === null || !this.lives) return;
    const session = { kind: "node", uuid, slot, epoch: member.createRevision } as const;
    const disk = this.#prng.pick(DISKS);
    const connection = this.connections.length;
    this.connections.push({ session, disk, state: "asking", atDevice: 0 });
    const name = {
      disk,
      mode: this.#prng.pick(["read", "write"] as const),
      session,
      life: this.#life,
      handle: `n.b.${this.#prng.below(2)}.${this.#prng.below(3)}`,
      connection: this.#prng.below(2),
    };
    const peer = JSON.parse(member.value).node;
    this.ledger.ask({ connection, name, peer });
    this.carryOut();
  }

  begin(): void {
    const at = this.#prng.below(this.connections.length + 1);
    const connection = this.connections[at];
    if (connection === undefined || this.ledger.begin(at, 0) !== "go") return;
    const { uuid, slot, epoch } = connection.session;
    assert.is(this.#isFenced(uuid, slot, epoch), false, "a request begins behind its fence");
    assert.is(connection.state, "open");
    connection.atDevice += 1;
    this.begun += 1;
  }

  end(isAll: boolean): void {
    for (const [at, connection] of this.connections.entries()) {
      while (connection.atDevice > 0 && (isAll || this.#prng.chance(1, 6))) {
        connection.atDevice -= 1;
        this.ledger.end(at);
      }
      const isOver = connection.state === "closing" && connection.atDevice === 0;
      if (isOver && (isAll || this.#prng.chance(1, 2))) {
        connection.state = "gone";
        this.ledger.ended(at);
      }
    }
    this.carryOut();
  }

  /** An acknowledgement reaches the store, or does not; its answer may be another thing. */
  store(isAll: boolean): void {
    while (this.#writing.length > 0 && (isAll || this.#prng.chance(1, 2))) {
      const [one] = this.#writing.splice(this.#prng.below(this.#writing.length), 1);
      if (one === undefined) return;
      const { uuid, slot, epoch } = one.effect;
      const isMember = this.map.get(this.keysOf(uuid).member(slot)) !== null;
      let revision: number | null = null;
      if (one.life === this.#life && !isMember) {
        this.#checkFence(one.effect);
        revision = this.#write([[this.#fd(uuid, slot), String(epoch)]]);
        this.acknowledged += 1;
        // Lost, and done late by a repetition: the same value again.
        if (!isAll && this.#prng.chance(1, 4)) this.#writing.push(one);
      }
      this.ledger.acknowledged(one.effect, one.life, revision);
      this.carryOut();
    }
  }

  #checkFence({ uuid, slot, epoch }: Acknowledge): void {
    for (const { session, atDevice } of this.connections) {
      const isMeant = session.uuid === uuid && session.slot === slot && session.epoch <= epoch;
      if (isMeant) assert.is(atDevice, 0, "acknowledged while a request is at the device");
    }
    const isUsed = this.#ownUses.some(
      (one) => one.uuid === uuid && one.slot === slot && one.epoch <= epoch,
    );
    assert.is(isUsed, false, "acknowledged while the board itself uses the disk");
  }

  drainOwn(isAll: boolean): void {
    while (this.#ownAsked.length > 0 && (isAll || this.#prng.chance(1, 2))) {
      const one = this.#ownAsked.shift();
      if (one === undefined) return;
      this.#endOwn(one.uuid, one.slot, one.epoch);
      this.ledger.ownDrained(one.uuid, one.slot, one.epoch);
      this.carryOut();
    }
  }

  #endOwn(uuid: string, slot: number, upTo: number): void {
    this.#ownUses = this.#ownUses.filter(
      (one) => one.uuid !== uuid || one.slot !== slot || one.epoch > upTo,
    );
  }

  carryOut(): void {
    for (const effect of this.ledger.take()) {
      if (effect.type === "own-fenced") this.#ownAsked.push(effect);
      else if (effect.type === "acknowledge")
        this.#writing.push({ effect, life: this.ledger.life ?? 0 });
      else this.#door(effect);
    }
  }

  #door(effect: Extract<LedgerEffect, { connection: number }>): void {
    const connection = this.connections[effect.connection];
    assert.ok(connection !== undefined);
    if (effect.type === "refuse") connection.state = "gone";
    else if (effect.type === "close") connection.state = "closing";
    else {
      const late = this.connections.filter(
        ({ state, atDevice, disk }) =>
          disk === connection.disk && state === "closing" && atDevice > 0,
      );
      const { ask } = this.ledger.doors.find(
        (door) => door.ask.connection === effect.connection,
      ) ?? { ask: null };
      if (ask?.name.mode === "write") assert.is(late.length, 0, "admitted beside late requests");
      connection.state = "open";
    }
  }

  /** Whose fence somebody waits for in vain. */
  get unfenced(): readonly string[] {
    return UUIDS.flatMap((uuid) =>
      [1, 2, 3].flatMap((slot) => {
        const keys = this.keysOf(uuid);
        const key = this.map.get(keys.slot(slot));
        const isMember = this.map.get(keys.member(slot)) !== null;
        return key !== null && !isMember && !this.#isFenced(uuid, slot, key.modRevision)
          ? [`${uuid}/${slot}`]
          : [];
      }),
    );
  }
}

test("no request begins behind its fence, and every end is acknowledged at last", async () => {
  let acknowledged = 0;
  let begun = 0;
  await withSeeds({ fixed: [1, 2, 3], more: 150 }, (prng) => {
    const world = new World(prng);
    world.beginLife();
    const moves = [
      () => world.join(),
      () => world.part(),
      () => world.ask(),
      () => world.ask(),
      () => world.begin(),
      () => world.begin(),
      () => world.end(false),
      () => world.see(false),
      () => world.store(false),
      () => world.drainOwn(false),
    ];
    for (let turn = 0; turn < 600; turn += 1) {
      if (prng.chance(1, 150)) {
        if (world.lives) world.endLife();
        else world.beginLife();
      } else prng.pick(moves)();
    }
    if (!world.lives) world.beginLife();
    for (let turn = 0; turn < 8; turn += 1) {
      world.see(true);
      world.end(true);
      world.drainOwn(true);
      world.store(true);
    }
    assert.equal(world.unfenced, []);
    assert.equal(world.ledger.draining, []);
    acknowledged += world.acknowledged;
    begun += world.begun;
  });
  assert.ok(acknowledged > 100 && begun > 500, `${acknowledged} ends, ${begun} requests`);
});

test.run();
