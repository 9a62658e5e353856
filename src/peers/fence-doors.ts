/** The connections to an exporter's disks, and which of them may be there beside each other. */
import type { FenceSlots } from "./fence-slots.ts";
import { type OwnBoard, whoDistrusts } from "./fence-trust.ts";
import { judgeSession, type Refusal, refuse, type Verdict, wait } from "./fence-verdict.ts";
import { type MemberName, sessionText } from "./member-name.ts";

/** A connection that asks for a disk. */
export interface MemberAsk {
  /** Number of the connection here; never used twice. */
  readonly connection: number;
  readonly name: MemberName;
  /** The board's name, as its certificate tells. */
  readonly peer: string;
}

export interface Door {
  readonly ask: MemberAsk;
  /** The session, as one word. */
  readonly who: string;
  /** The part of the handle that one thread has in common, and its number within. */
  readonly thread: string;
  readonly number: number;
  /** `closing`: no request of it begins any more. */
  state: "asking" | "open" | "closing";
  /** Requests that the device has not answered. */
  atDevice: number;
  /** What an ask waits for: what it is told when it has waited for too long. */
  waits: Refusal | null;
}

/** `replaces`: the connections whose place it takes. */
export type DoorVerdict = Verdict & { readonly replaces: readonly Door[] };

/** Choice: more than all threads of all boards have at all disks. */
const HANDLES_MAX = 8192;
const NONE: readonly Door[] = [];
const LATE = "requests of a connection that is over are still at the disk";

export class FenceDoors {
  readonly #peerMax: number;
  readonly #doors = new Map<number, Door>();
  readonly #asking = new Set<Door>();
  /** The largest number of a writing handle that was let in, of each thread at each disk. */
  readonly #largest = new Map<string, number>();

  constructor(peerMax: number) {
    this.#peerMax = peerMax;
  }

  get all(): readonly Door[] {
    return [...this.#doors.values()];
  }

  /** In the order in which they came. */
  get asking(): readonly Door[] {
    return [...this.#asking];
  }

  get isAsked(): boolean {
    return this.#asking.size > 0;
  }

  find(connection: number): Door | null {
    return this.#doors.get(connection) ?? null;
  }

  /** Null: the peer has as many as it may. */
  add(ask: MemberAsk): Door | null {
    const ofPeer = this.all.filter((door) => door.ask.peer === ask.peer);
    if (ofPeer.length >= this.#peerMax) return null;
    const { handle, session } = ask.name;
    const door: Door = {
      ask,
      who: sessionText(session),
      ...partsOf(handle),
      state: "asking",
      atDevice: 0,
      waits: null,
    };
    this.#doors.set(ask.connection, door);
    this.#asking.add(door);
    return door;
  }

  open(door: Door): void {
    door.state = "open";
    door.waits = null;
    this.#asking.delete(door);
    if (isWrite(door)) this.#remember(door);
  }

  /** The one that was let in longest ago is forgotten: its session is over by then. */
  #remember(door: Door): void {
    const key = placeOf(door);
    this.#largest.delete(key);
    this.#largest.set(key, door.number);
    for (const oldest of this.#largest.keys()) {
      if (this.#largest.size <= HANDLES_MAX) break;
      this.#largest.delete(oldest);
    }
  }

  remove(door: Door): void {
    this.#doors.delete(door.ask.connection);
    this.#asking.delete(door);
  }

  /** A request of some session of the slot is at the device. */
  isAtDevice(uuid: string, slot: number): boolean {
    return this.all.some(({ ask: { name }, atDevice }) => {
      const { session } = name;
      const isOfSlot = session.kind === "node" && session.uuid === uuid && session.slot === slot;
      return isOfSlot && atDevice > 0;
    });
  }

  judge(door: Door, life: number | null, slots: FenceSlots, own: OwnBoard): DoorVerdict {
    const { name, peer } = door.ask;
    const verdict = judgeSession(name, peer, life, slots);
    if (verdict.type !== "admit") return { ...verdict, replaces: NONE };
    const { session, disk } = name;
    if (session.kind === "node" && isWrite(door)) {
      const other = whoDistrusts(session, disk, slots, this.all, own);
      const text = other === null ? "" : `node ${other.slot} has not met this life of the board`;
      if (other !== null) return { ...wait("restarted", text), replaces: NONE };
    }
    const beside = this.all.filter((other) => other !== door && other.ask.name.disk === name.disk);
    const isLate = isWrite(door) && door.number < (this.#largest.get(placeOf(door)) ?? 0);
    if (isLate || beside.some((other) => isLater(other, door)))
      return { ...refuse("superseded", "a later handle has taken its place"), replaces: NONE };
    const replaces = beside.filter((other) => isReplacedBy(other, door));
    const late = beside.filter(
      (other) => other.atDevice > 0 && (other.state === "closing" || replaces.includes(other)),
    );
    const mustWait = late.some((other) => isWrite(door) || replaces.includes(other));
    if (mustWait) return { ...wait("busy", LATE), replaces };
    const inTheWay = beside.find((other) => !replaces.includes(other) && isInTheWay(other, door));
    if (inTheWay !== undefined)
      return { ...wait("busy", `${inTheWay.who} uses the disk`), replaces };
    return { type: "admit", replaces };
  }
}

/** `NODE.BOOT.THREAD.NUMBER`; any other handle is a thread of its own. */
const partsOf = (handle: string): { readonly thread: string; readonly number: number } => {
  const match = /^(.+)\.(\d{1,15})$/.exec(handle);
  return match === null
    ? { thread: handle, number: 0 }
    : { thread: match[1] ?? handle, number: Number(match[2]) };
};

const placeOf = ({ who, thread, ask }: Door): string => `${who} ${thread} ${ask.name.disk}`;

const isWrite = ({ ask }: Door): boolean => ask.name.mode === "write";

const isOfThread = (one: Door, other: Door): boolean =>
  one.who === other.who && one.thread === other.thread && one.ask.name.mode === other.ask.name.mode;

/** A thread has one writing handle of a disk: it has begun another one since. */
const isLater = (other: Door, door: Door): boolean =>
  isWrite(door) && isOfThread(other, door) && other.number > door.number;

/**
 * The same connection of the same handle, whichever came first here; and earlier writing handles of
 * the thread, which has given them up.
 */
const isReplacedBy = (other: Door, door: Door): boolean => {
  if (!isOfThread(other, door) || other.ask.connection > door.ask.connection) return false;
  if (other.number !== door.number) return isWrite(door) && other.number < door.number;
  return other.ask.name.connection === door.ask.name.connection;
};

/** Who makes a new array on a disk has it alone, but for boards that only look at it. */
const isInTheWay = (other: Door, door: Door): boolean => {
  if (other.state !== "open" || other.who === door.who) return false;
  return isBoardWrite(door)
    ? other.ask.name.session.kind === "node" || isBoardWrite(other)
    : isBoardWrite(other) && (isWrite(door) || door.ask.name.session.kind === "node");
};

const isBoardWrite = (door: Door): boolean =>
  door.ask.name.session.kind === "board" && isWrite(door);
