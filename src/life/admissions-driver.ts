/** Lets newcomers in, one after the other: token, certificate, etcd if it is the first, record. */
import { setTimeout as pause } from "node:timers/promises";
import { CodedError } from "../common/errors.ts";
import { refuseLiving } from "./board-traces.ts";
import { createRefusedList, issueCertificate, requestedKey, serialOf } from "./certificates.ts";
import { EtcdAdmin } from "./etcd-admin-client.ts";
import { etcdNameOf } from "./etcd-arguments.ts";
import { clientUrlOf, type EtcdHere, peerUrlOf } from "./etcd-here-driver.ts";
import { type Identity, type IdentityFacts, writeFacts } from "./identity-driver.ts";
import type { JoinAsk, JoinGrant } from "./join-messages.ts";
import { checkToken, type Role } from "./join-token.ts";
import type { LifeRecord } from "./life-records.ts";
import type { Registry } from "./registry-client.ts";
import type { TokenBook } from "./token-book-driver.ts";

/** The board that lets in, as it is now. */
export interface Admission {
  readonly identity: Identity;
  readonly etcd: EtcdHere;
  readonly folder: string;
  /** etcd runs here now, as its first member. */
  readonly began: (identity: Identity) => void;
  /** Null before etcd runs. */
  readonly registry: () => Registry | null;
  /** Errors: those of a board that cannot be done without. */
  readonly judge: (name: string) => Promise<void>;
  /** `isFirst`: the cluster had one board and no etcd before. */
  readonly admitted: (name: string, role: Role, isFirst: boolean) => void;
}

const START_MS = 60_000;
const LOOK_MS = 100;

export class Admissions {
  readonly #tokens: TokenBook;
  readonly #now: () => number;
  #last: Promise<unknown> = Promise.resolve();

  constructor(tokens: TokenBook, now: () => number) {
    this.#tokens = tokens;
    this.#now = now;
  }

  /**
   * Errors: LIFE_TOKEN_*, LIFE_BAD_REQUEST, LIFE_NAME_TAKEN, LIFE_BOARD_NOT_GONE, what the judge of
   * a replaced board and starting etcd meet.
   */
  async admit(ask: JoinAsk, place: Admission): Promise<JoinGrant> {
    const turn = this.#last.then(() => this.#admit(ask, place));
    this.#last = turn.catch(() => undefined);
    return await turn;
  }

  async #admit(ask: JoinAsk, place: Admission): Promise<JoinGrant> {
    const { name, role, host } = ask;
    const token = { id: ask.tokenId, secret: ask.secret, role, name };
    const { replaces } = checkToken(this.#tokens.list(), token, this.#now());
    const key = await requestedKey(ask.request);
    const isFirst = place.registry() === null;
    if (isFirst) await beginEtcd(place);
    const registry = place.registry();
    if (registry === null) throw notStarted();
    const { ca, caKey, cluster } = place.identity;
    if (caKey === null) throw notStarted();
    const authority = { cert: ca, key: caKey };
    const { records, pulses, refused } = await registry.view();
    const facts: IdentityFacts = { ...ask, cluster, board: name, endpoints: [] };
    const before = records.find((one) => one.name === name);
    if (before !== undefined && replaces !== name) throw nameTaken(name);
    const other = records.find((one) => one !== before && one.peerUrl === peerUrlOf(facts));
    if (other !== undefined) throw addressTaken(name, other.name, host);
    if (before !== undefined) {
      refuseLiving(await registry.traces(), name, pulses.has(before.id));
      await place.judge(name);
    }
    // From here on the token is used up, whatever becomes of the newcomer.
    this.#tokens.use(ask.tokenId);
    if (before !== undefined) await registry.remove(before, authority);
    const subject = { name, addresses: [host, "127.0.0.1", "localhost"] };
    const cert = await issueCertificate(authority, subject, key);
    await registry.add(recordOf(facts, serialOf(cert)));
    const serials = [...refused.map(({ serial }) => serial), ...(before ? [before.serial] : [])];
    const list = await createRefusedList(authority, serials);
    place.admitted(name, role, isFirst);
    return {
      cluster,
      ca,
      caKey: role === "board" ? caKey : null,
      cert,
      refusedList: list.toString("base64"),
      endpoints: registry.members.length > 0 ? registry.members : registry.endpoints,
    };
  }
}

/** A board's record. */
export const recordOf = (facts: IdentityFacts, serial: string): LifeRecord => {
  const { id, board: name, role, host, ports } = facts;
  const shown = host.includes(":") ? `[${host}]` : host;
  const address = role === "witness" ? "" : `${shown}:${ports.cluster}`;
  const urls = { peerUrl: peerUrlOf(facts), clientUrl: clientUrlOf(facts) };
  return { id, name, role, serial, host, address, ...urls, isLeaving: false };
};

/** Starts etcd here as its first member, and writes this board's own record. */
const beginEtcd = async (place: Admission): Promise<void> => {
  const { identity, etcd, folder } = place;
  const endpoint = clientUrlOf(identity);
  if (!etcd.canResume) {
    const initialCluster = `${etcdNameOf(identity.id)}=${peerUrlOf(identity)}`;
    await etcd.begin(identity, { initialCluster, state: "new" }, null);
  }
  await untilWell(identity, endpoint);
  const begun = { ...identity, endpoints: [endpoint] };
  writeFacts(folder, begun);
  place.began(begun);
  const registry = place.registry();
  if (registry === null) throw notStarted();
  const { records } = await registry.view();
  if (records.some(({ id }) => id === identity.id)) return;
  await registry.add(recordOf(identity, serialOf(identity.own.cert)));
};

const untilWell = async ({ ca, own }: Identity, endpoint: string): Promise<void> => {
  const admin = new EtcdAdmin({ ca, ...own });
  const deadline = performance.now() + START_MS;
  try {
    for (;;) {
      try {
        if ((await admin.status(endpoint)).electedId !== "0") return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
      if (performance.now() > deadline) throw notStarted();
      await pause(LOOK_MS);
    }
  } finally {
    admin.close();
  }
};

const notStarted = (): CodedError =>
  new CodedError(
    "LIFE_ETCD_NOT_STARTED",
    "etcd does not start on the board that lets others join",
    {
      remedy: "see etcd.log in the cluster folder of its data folder",
    },
  );

const addressTaken = (name: string, other: string, host: string): CodedError =>
  new CodedError("LIFE_ADDRESS_TAKEN", `${name} gives ${host} and the ports that ${other} has`, {
    remedy: "set [cluster] host to the board's own address on the network",
  });

const nameTaken = (name: string): CodedError =>
  new CodedError("LIFE_NAME_TAKEN", `the cluster has a board or a witness ${name} already`, {
    remedy: "give another one with --name; new hardware for it joins by cluster token --replace",
  });
