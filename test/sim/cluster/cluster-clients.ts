/**
 * The clients of a simulated cluster, one on each node, as a cluster file system would use the
 * array: each place is one node's to write at a time, and changes hands only once nothing is
 * under way there; everybody reads everywhere.
 */

import type { OpenWrite } from "./cluster-content.ts";
import { CLUSTER_GEOMETRY } from "./cluster-media.ts";
import type { ClusterSim } from "./cluster-sim.ts";
import type { NodeLife } from "./node-life.ts";
import type { SimWorker } from "./sim-worker.ts";
import type { TraceText } from "./trace-log.ts";

const SECTOR = 512;
/** Places do not end where bitmap chunks do. */
const PLACE_SECTORS = 80;
const PLACES = Math.floor(CLUSTER_GEOMETRY.sectors / PLACE_SECTORS);
/** Of a place: writes and reads begin in its first sectors, and end in it. */
const WRITE_MAX = 8;
const FIRST_MAX = 6;
const READ_MAX = WRITE_MAX + 4;
/** At the end everything is read in pieces of so many sectors, so many at a time. */
const VERIFY_MAX = 48;
const VERIFY_AT_ONCE = 4;
const OPEN_MAX = 8;
/** A client that rests does so for this long: bits are cleared meanwhile. */
const REST_MS = 12_000;
/** Between looks whether a board is up. */
const DOWN_MS = 100;

interface Place {
  readonly first: number;
  owner: number;
  /** Writes that may still change it. */
  open: number;
}

interface Client {
  life: NodeLife | null;
  open: number;
  readonly writes: Set<OpenWrite>;
  /** The places it is at. */
  focus: readonly Place[];
  restsUntil: number;
}

export class ClusterClients {
  readonly #sim: ClusterSim;
  readonly #places: readonly Place[];
  readonly #clients: readonly Client[];
  #doubtful: OpenWrite[] = [];
  readonly #gapMs: number;
  isOver = false;

  constructor(sim: ClusterSim) {
    this.#sim = sim;
    this.#gapMs = sim.prng.pick(sim.gapsMs);
    this.#places = Array.from({ length: PLACES }, (_, at) => ({
      first: at * PLACE_SECTORS,
      owner: at % sim.boards.length,
      open: 0,
    }));
    this.#clients = sim.boards.map(() => ({
      life: null,
      open: 0,
      writes: new Set(),
      focus: [],
      restsUntil: 0,
    }));
    sim.onDeath.push((life) => this.#onDeath(life));
    for (const node of this.#clients.keys()) this.#later(node);
  }

  /** Requests without an answer, of boards that live. */
  get open(): number {
    return this.#clients.reduce((sum, { open }) => sum + open, 0);
  }

  /** The cluster rests: what nodes that are gone had under way is settled. False: nothing was. */
  rest(): boolean {
    const isOver = (write: OpenWrite): boolean => !this.#sim.isUp(write.owner);
    const over = this.#doubtful.filter(isOver);
    if (over.length === 0) return false;
    this.#sim.content.rest(isOver);
    for (const write of over) this.#placeOf(write).open--;
    this.#doubtful = this.#doubtful.filter((write) => !isOver(write));
    return true;
  }

  /** The power went. */
  cut(): void {
    this.#doubtful = [];
    for (const place of this.#places) place.open = 0;
  }

  #onDeath(life: NodeLife): void {
    const client = this.#clients[life.node];
    if (client === undefined || client.life !== life) return;
    for (const write of client.writes) this.#doubt(write);
    client.writes.clear();
    client.open = 0;
    client.life = null;
  }

  #doubt(write: OpenWrite): void {
    this.#doubtful.push(write);
    this.#sim.content.doubt(write);
  }

  #placeOf({ first }: OpenWrite): Place {
    return this.#places[Math.floor(first / PLACE_SECTORS)] as Place;
  }

  #later(node: number): void {
    const { prng, timeline, boards } = this.#sim;
    const gap = prng.below(4) === 0 ? 0.1 : 1 + prng.below(2 * this.#gapMs);
    const { restsUntil } = this.#clients[node] as Client;
    // Nothing can be asked of a board that is not up, or is wanted while the client rests.
    const idle = boards[node]?.life?.isUp === true ? restsUntil - timeline.now : DOWN_MS;
    timeline.after(Math.max(gap, idle), null, () => {
      if (this.isOver) return;
      this.#act(node);
      this.#later(node);
    });
  }

  #act(node: number): void {
    const { prng, timeline, boards } = this.#sim;
    const client = this.#clients[node] as Client;
    const life = boards[node]?.life ?? null;
    if (life === null || !life.isUp || client.open >= OPEN_MAX) return;
    client.life = life;
    if (timeline.now < client.restsUntil) return;
    if (prng.below(400) === 0) client.restsUntil = timeline.now + prng.below(REST_MS);
    if (client.focus.length === 0 || prng.below(60) === 0) this.#refocus(node, client);
    const worker = prng.pick(life.workers);
    const dice = prng.below(20);
    if (dice < 11) this.#write(node, client, life, worker);
    else if (dice < 18) this.#read(client, worker);
    else this.#flush(client, worker);
  }

  /** Places within the array, as large as this node knows it to be. */
  #isIn({ first }: Place, worker: SimWorker): boolean {
    return (first + PLACE_SECTORS) * SECTOR <= worker.io.sizeBytes;
  }

  #refocus(node: number, client: Client): void {
    const { prng } = this.#sim;
    for (let count = 0; count < 2; count++) {
      const place = prng.pick(this.#places);
      if (place.open === 0) place.owner = node;
    }
    const mine = this.#places.filter(({ owner }) => owner === node);
    client.focus = mine.length === 0 ? [] : Array.from({ length: 3 }, () => prng.pick(mine));
  }

  #write(node: number, client: Client, life: NodeLife, worker: SimWorker): void {
    const { prng, content } = this.#sim;
    const mine = client.focus.filter((place) => place.owner === node && this.#isIn(place, worker));
    if (mine.length === 0) return;
    const place = prng.pick(mine);
    const count = 1 + prng.below(WRITE_MAX);
    const write = content.beginWrite(life, place.first + prng.below(FIRST_MAX), count);
    const fua = prng.below(8) === 0;
    this.#trace(life, () => `write ${write.id} of ${count} from ${write.first}`);
    place.open++;
    client.open++;
    client.writes.add(write);
    const done = (errno: number): void => {
      if (client.life !== life) return;
      client.open--;
      client.writes.delete(write);
      this.#sim.count(errno === 0 ? "write" : `write error ${errno}`);
      this.#trace(life, () => `write ${write.id}: ${errno}`);
      if (errno !== 0) return this.#doubt(write);
      place.open--;
      this.#isEverywhere(life, write);
      content.ack(write);
      if (fua) content.durable(write);
    };
    worker.submit((io) => io.write([stamp(write)], write.first * SECTOR, fua, done));
  }

  /** There are too many of them for a failure's last events. */
  #trace(life: NodeLife, text: TraceText): void {
    if (this.#sim.isTraced) this.#sim.trace(life, text);
  }

  /** Every member that the superblocks call in sync has what is acknowledged now. */
  #isEverywhere(life: NodeLife, write: OpenWrite): void {
    const { content, mediaChecks, copies } = this.#sim;
    for (let sector = write.first; sector < write.first + write.count; sector++)
      for (const { medium, id } of copies.sector(mediaChecks.roles, sector)) {
        if (content.isCurrent(sector, id, write) || this.#sim.isLossy(medium)) continue;
        const text = `acknowledges ${write.id} in sector ${sector}: ${medium.path} holds ${id}`;
        this.#sim.violate(`I17: node ${life.node} ${text}`);
      }
  }

  #read(client: Client, worker: SimWorker): void {
    const { prng, content } = this.#sim;
    const focus = prng.below(3) > 0 ? client.focus : (prng.pick(this.#clients)?.focus ?? []);
    const place = focus.length > 0 ? prng.pick(focus) : prng.pick(this.#places);
    if (!this.#isIn(place, worker)) return;
    const first = place.first + prng.below(FIRST_MAX);
    const count = 1 + prng.below(READ_MAX);
    const target = new Uint8Array(count * SECTOR);
    const open = content.beginRead(first, count);
    const { life } = client;
    client.open++;
    const done = (errno: number): void => {
      if (client.life !== life) return;
      client.open--;
      this.#sim.count(errno === 0 ? "read" : `read error ${errno}`);
      if (errno !== 0) return;
      const isStable = this.#sim.isSettled;
      for (let at = 0; at < count; at++) {
        const id = idOf(target, at);
        const problem = content.problem(open, first + at, id, isStable);
        if (problem !== null) this.#sim.violate(`I13: node ${life?.node}: ${problem}`);
      }
    };
    worker.submit((io) => io.read(target, first * SECTOR, done));
  }

  #flush(client: Client, worker: SimWorker): void {
    const { content } = this.#sim;
    const began = content.beginFlush();
    const { life } = client;
    client.open++;
    const done = (errno: number): void => {
      if (client.life !== life) return;
      client.open--;
      this.#sim.count(errno === 0 ? "flush" : `flush error ${errno}`);
      if (errno === 0) content.flushed(began);
    };
    worker.submit((io) => io.flush(done));
  }

  /**
   * Reads everything that was ever written, on one node, as far as the array reaches: it may have
   * been larger in copies that ran apart. Resolves when all is compared.
   */
  async verify(life: NodeLife): Promise<void> {
    const size = Math.min(...life.workers.map(({ io }) => io.sizeBytes));
    const isInside = (sector: number): boolean => (sector + 1) * SECTOR <= size;
    const runs = runsOf(this.#sim.content.sectors.filter(isInside));
    const readers = Array.from({ length: VERIFY_AT_ONCE }, async () => {
      for (let run = runs.shift(); run !== undefined; run = runs.shift())
        await this.#verifyRun(life, run);
    });
    await Promise.all(readers);
  }

  async #verifyRun(life: NodeLife, { first, count }: Run): Promise<void> {
    const { content, prng } = this.#sim;
    const target = new Uint8Array(count * SECTOR);
    const open = content.beginRead(first, count);
    const worker = prng.pick(life.workers);
    const errno = await new Promise<number>((done) =>
      worker.submit((io) => io.read(target, first * SECTOR, done)),
    );
    if (errno !== 0) this.#sim.violate(`E: node ${life.node} cannot read sector ${first}`);
    for (let at = 0; at < count; at++) {
      const problem = content.problem(open, first + at, idOf(target, at), true);
      if (problem !== null) this.#sim.violate(`I13: at the end, node ${life.node}: ${problem}`);
    }
  }
}

interface Run {
  readonly first: number;
  count: number;
}

/** Sectors that follow one another, in pieces. */
const runsOf = (sectors: readonly number[]): Run[] => {
  const runs: Run[] = [];
  for (const sector of sectors) {
    const last = runs.at(-1);
    const isNext = last !== undefined && sector === last.first + last.count;
    if (isNext && last.count < VERIFY_MAX) last.count++;
    else runs.push({ first: sector, count: 1 });
  }
  return runs;
};

/** The write that a sector holds; it holds one, not parts of several. */
const idOf = (target: Uint8Array, at: number): number => {
  const words = new Uint32Array(target.buffer, target.byteOffset + at * SECTOR, SECTOR / 4);
  const id = words[0] ?? 0;
  for (let word = 1; word < words.length; word++) if (words[word] !== id) return -1;
  return id;
};

/** Each sector of a write is filled with its number. */
const stamp = ({ id, count }: OpenWrite): Uint8Array =>
  new Uint8Array(new Uint32Array((count * SECTOR) / 4).fill(id).buffer);
