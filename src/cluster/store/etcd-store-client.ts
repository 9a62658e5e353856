/**
 * The cluster store that several boards share: etcd, through its JSON gateway. Each request has a
 * deadline and goes to the next member when one does not answer; a transaction that may have
 * arrived is never sent a second time, its outcome is `unknown`.
 */
import type { CodedError } from "../../common/errors.ts";
import type {
  ClusterStore,
  Lease,
  LeaseId,
  Listing,
  Revision,
  StoreIdentity,
  StoreWatch,
  Txn,
  TxnOutcome,
  WatchHint,
} from "./cluster-store.ts";
import { EtcdHttp, type EtcdTls } from "./etcd-http-client.ts";
import {
  errorReply,
  grantReply,
  grantRequest,
  headerOf,
  keepAliveReply,
  leaseRequest,
  memberUrls,
  rangeReply,
  rangeRequest,
  txnReply,
  txnRequest,
  watchReply,
  watchRequest,
} from "./etcd-messages.ts";
import { judgeRefusal, type Refusal } from "./etcd-refusal.ts";
import {
  badAnswer,
  leaseGone,
  storeClosed,
  storeCompacted,
  storeReplaced,
  storeUnreachable,
} from "./store-errors.ts";
import { learnIdentity, UNKNOWN_STORE } from "./store-identity.ts";
import { checkLeaseId, checkLeaseTime, checkPrefix, checkTxn, isWrite } from "./store-request.ts";

/** Half a second for a leader's fsync and 0.2 s for the network; less than a confirm period. */
export const REQUEST_TIMEOUT_MS = 700;

/** How often the members are asked for. */
const LEARN_MS = 10_000;
const ENDPOINTS_MAX = 16;

export interface EtcdStoreOptions {
  /** Client URLs of the members; the nearest first. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls | null;
  readonly requestTimeoutMs?: number;
  /** What is remembered of this store from before. */
  readonly known?: StoreIdentity;
  /** Asks etcd for its members from time to time: for a cluster that changes them by itself. */
  readonly learnsMembers?: boolean;
}

type Asked =
  | { readonly type: "answer"; readonly json: unknown }
  | { readonly type: "lost"; readonly error: CodedError };

export class EtcdStore implements ClusterStore {
  #endpoints: readonly string[];
  readonly #http: EtcdHttp;
  readonly #timeoutMs: number;
  readonly #watches = new Set<StoreWatch>();
  #identity: StoreIdentity;
  #replaced: CodedError | null = null;
  #isClosed = false;
  /** As they were given: asked last once others are known, in case none of those answers. */
  readonly #given: readonly string[];
  #learning: NodeJS.Timeout | null = null;
  #members: readonly string[] = [];
  /** Index of the endpoint that requests, and new watches, go to. */
  #current = 0;
  #watched = 0;

  /** Opens nothing yet; etcd-start-client.ts tests the store before it is used. */
  constructor(options: EtcdStoreOptions) {
    this.#endpoints = options.endpoints;
    this.#given = options.endpoints;
    this.#http = new EtcdHttp(options.tls ?? null);
    this.#timeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#identity = options.known ?? UNKNOWN_STORE;
    if (options.learnsMembers === true)
      this.#learning = setInterval(() => void this.learnMembers(), LEARN_MS).unref();
  }

  /** Client URLs of the members as they are known now. */
  get endpoints(): readonly string[] {
    return this.#endpoints;
  }

  get identity(): StoreIdentity {
    return this.#identity;
  }

  /** etcd's version, as one member gives it. Errors: CLUSTER_STORE_UNREACHABLE, _BAD_ANSWER. */
  async version(endpoint: string): Promise<string> {
    this.#enter();
    const asked = await this.#http.ask(endpoint, "/version", undefined, this.#timeoutMs);
    if (asked.type !== "answer") throw asked.error;
    const { etcdserver } = (asked.json ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof etcdserver !== "string") throw badAnswer(`${endpoint} has no version`);
    return etcdserver;
  }

  /** Client URLs of the members as etcd told them last; empty before that. */
  get members(): readonly string[] {
    return this.#members;
  }

  /** Asks for the members that have a vote. Never rejects: what is known stays. */
  async learnMembers(): Promise<void> {
    try {
      const learnt = memberUrls(await this.#askUntilAnswered("/v3/cluster/member/list", {}));
      const scheme = `${this.#given[0]?.split(":")[0]}:`;
      const usable = learnt.filter((url) => url.startsWith(scheme));
      if (usable.length === 0 || this.#isClosed) return;
      this.#members = usable;
      const kept = this.#given.filter((url) => !usable.includes(url));
      this.#endpoints = [...usable, ...kept].slice(0, ENDPOINTS_MAX);
    } catch {
      // Asked again later.
    }
  }

  async txn(txn: Txn): Promise<TxnOutcome> {
    this.#enter();
    checkTxn(txn);
    const floor = [...txn.success, ...txn.failure].some(isWrite) ? this.#identity : null;
    const asked = await this.#ask("/v3/kv/txn", txnRequest(txn), "once");
    if (asked.type === "lost") return { type: "unknown", error: asked.error };
    try {
      const { type, results } = txnReply(asked.json, txn);
      return { type, revision: this.#learn(headerOf(asked.json), floor), results };
    } catch (error) {
      return { type: "unknown", error: error as CodedError };
    }
  }

  async list(prefix: string): Promise<Listing> {
    this.#enter();
    checkPrefix(prefix);
    const json = await this.#askUntilAnswered("/v3/kv/range", rangeRequest(prefix));
    const found = rangeReply(json);
    return { revision: this.#learn(headerOf(json), null), found };
  }

  watch(prefix: string, fromRevision: Revision, listener: (hint: WatchHint) => void): StoreWatch {
    this.#enter();
    checkPrefix(prefix);
    const endpoint = this.endpoints[this.#watched % this.endpoints.length] ?? "";
    const end = (error: CodedError): void => {
      this.#watched += 1;
      watch.close();
      listener({ type: "ended", error });
    };
    const body = watchRequest(prefix, fromRevision);
    const stream = this.#http.stream(endpoint, "/v3/watch", body, this.#timeoutMs, {
      end,
      line: (json) => {
        const hint = this.#watchHint(json, fromRevision);
        if (hint?.type === "ended") end(hint.error);
        else if (hint !== null) listener(hint);
      },
    });
    const watch = {
      close: () => {
        stream.close();
        this.#watches.delete(watch);
      },
    };
    this.#watches.add(watch);
    return watch;
  }

  async leaseGrant(ttlMs: number): Promise<Lease> {
    this.#enter();
    checkLeaseTime(ttlMs);
    return grantReply(await this.#askUntilAnswered("/v3/lease/grant", grantRequest(ttlMs)));
  }

  async leaseKeepAlive(lease: LeaseId): Promise<void> {
    this.#enter();
    checkLeaseId(lease);
    const json = await this.#askUntilAnswered("/v3/lease/keepalive", leaseRequest(lease));
    if (!keepAliveReply(json)) throw leaseGone(lease);
  }

  async leaseRevoke(lease: LeaseId): Promise<void> {
    this.#enter();
    checkLeaseId(lease);
    try {
      await this.#askUntilAnswered("/v3/lease/revoke", leaseRequest(lease));
    } catch (error) {
      if ((error as CodedError).code !== "CLUSTER_STORE_LEASE_GONE") throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#learning !== null) clearInterval(this.#learning);
    for (const watch of [...this.#watches]) watch.close();
    this.#http.close();
  }

  #enter(): void {
    if (this.#isClosed) throw storeClosed();
    if (this.#replaced !== null) throw this.#replaced;
  }

  /** Takes note of who answered and returns its revision. Errors: CLUSTER_STORE_REPLACED. */
  #learn(seen: StoreIdentity, floor: StoreIdentity | null): Revision {
    const learnt = learnIdentity(this.#identity, seen, floor);
    if (learnt === null) {
      this.#replaced = storeReplaced(this.#identity, seen);
      throw this.#replaced;
    }
    this.#identity = learnt;
    return seen.revision;
  }

  #watchHint(json: unknown, fromRevision: Revision): WatchHint | null {
    try {
      const reply = watchReply(json);
      if (reply.type === "created") return null;
      if (reply.type === "changes") return { type: "changes", changes: reply.changes };
      const { compacted, reason } = reply;
      const error = compacted ? storeCompacted(fromRevision) : storeUnreachable(reason);
      return { type: "ended", error };
    } catch (error) {
      return { type: "ended", error: error as CodedError };
    }
  }

  /**
   * Asks member after member, each at most once. `once`: no longer than it is sure that nothing
   * was done. Errors: what the store refused, and CLUSTER_STORE_UNREACHABLE when nothing was sent.
   */
  async #ask(path: string, body: unknown, mode: "once" | "repeat"): Promise<Asked> {
    let last: CodedError | null = null;
    let isLost = false;
    for (const _ of this.endpoints) {
      const endpoint = this.endpoints[this.#current % this.endpoints.length] ?? "";
      const asked = await this.#http.ask(endpoint, path, body, this.#timeoutMs);
      if (asked.type === "answer") {
        const refusal = judgeAnswer(asked.json, body);
        if (refusal === null) return asked;
        if (refusal.type === "refused") throw refusal.error;
        last = refusal.error;
        isLost ||= refusal.type === "lost";
      } else {
        last = asked.error;
        isLost ||= asked.type === "lost";
      }
      this.#current += 1;
      if (isLost && mode === "once") return { type: "lost", error: last };
    }
    const error: CodedError = last ?? storeUnreachable("there are no endpoints");
    if (isLost) return { type: "lost", error };
    throw error;
  }

  async #askUntilAnswered(path: string, body: unknown): Promise<unknown> {
    const asked = await this.#ask(path, body, "repeat");
    if (asked.type === "lost") throw asked.error;
    return asked.json;
  }
}

/** An answer that says nothing leaves open what was done. */
const judgeAnswer = (json: unknown, body: unknown): Refusal | null => {
  try {
    return judgeRefusal(errorReply(json), body);
  } catch (error) {
    return { type: "lost", error: error as CodedError };
  }
};
