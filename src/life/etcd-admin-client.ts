/**
 * What keeps an etcd in order, through its JSON gateway: members, alarms, defragmentation,
 * compaction, snapshots. Nothing here decides about data: that is for guarded transactions.
 */
import { EtcdHttp, type EtcdTls } from "../cluster/store/etcd-http-client.ts";
import { CodedError } from "../common/errors.ts";

/** A member of etcd as the list of members tells. */
export interface EtcdMember {
  /** Decimal. */
  readonly id: string;
  /** Empty until it has started. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

/** What a member tells of itself. */
export interface EtcdStatus {
  readonly memberId: string;
  readonly version: string;
  readonly databaseBytes: number;
  readonly usedBytes: number;
  /** "0": it knows none. */
  readonly electedId: string;
  readonly isLearner: boolean;
  readonly revision: number;
}

/** An alarm that a member raised; writes are refused while there is one for space. */
export interface EtcdAlarm {
  readonly memberId: string;
  /** `NOSPACE` or `CORRUPT`. */
  readonly alarm: string;
}

type Json = Readonly<Record<string, unknown>>;

const ANSWER_MS = 1500;
/** A change of members goes through consensus and waits for an election. */
const CHANGE_MS = 7000;
/** Source: measured, 0.1 s for each 100 MiB; the member answers nobody meanwhile. */
const DEFRAGMENT_MS = 60_000;
const SNAPSHOT_FIRST_MS = 10_000;

/** One member's gateway, or several in turn. */
export class EtcdAdmin {
  readonly #http: EtcdHttp;

  constructor(tls: EtcdTls | null) {
    this.#http = new EtcdHttp(tls);
  }

  /** As the first of the endpoints that answers has it. Errors: LIFE_ETCD_*. */
  async members(endpoints: readonly string[]): Promise<readonly EtcdMember[]> {
    const json = await this.#askAny(endpoints, "/v3/cluster/member/list", {}, ANSWER_MS);
    return listOf(json["members"]).map((one) => ({
      id: textOf(one["ID"]),
      name: textOf(one["name"]),
      peerUrls: textsOf(one["peerURLs"]),
      clientUrls: textsOf(one["clientURLs"]),
      isLearner: one["isLearner"] === true,
    }));
  }

  /** Errors: LIFE_ETCD_*. */
  async addLearner(endpoints: readonly string[], peerUrl: string): Promise<void> {
    const body = { peerURLs: [peerUrl], isLearner: true };
    await this.#askAny(endpoints, "/v3/cluster/member/add", body, CHANGE_MS);
  }

  /** Refused until the learner has caught up. Errors: LIFE_ETCD_*. */
  async promote(endpoints: readonly string[], id: string): Promise<void> {
    await this.#askAny(endpoints, "/v3/cluster/member/promote", { ID: id }, CHANGE_MS);
  }

  /** Errors: LIFE_ETCD_*. */
  async remove(endpoints: readonly string[], id: string): Promise<void> {
    await this.#askAny(endpoints, "/v3/cluster/member/remove", { ID: id }, CHANGE_MS);
  }

  /** Errors: LIFE_ETCD_*. */
  async status(endpoint: string): Promise<EtcdStatus> {
    const json = await this.#ask(endpoint, "/v3/maintenance/status", {}, ANSWER_MS);
    const header = (json["header"] ?? {}) as Json;
    return {
      memberId: textOf(header["member_id"]),
      version: textOf(json["version"]),
      databaseBytes: Number(json["dbSize"] ?? 0),
      usedBytes: Number(json["dbSizeInUse"] ?? 0),
      electedId: textOf(json["leader"]) || "0",
      isLearner: json["isLearner"] === true,
      revision: Number(header["revision"] ?? 0),
    };
  }

  /** Errors: LIFE_ETCD_*. */
  async alarms(endpoints: readonly string[]): Promise<readonly EtcdAlarm[]> {
    const json = await this.#askAny(endpoints, "/v3/maintenance/alarm", {}, ANSWER_MS);
    return listOf(json["alarms"]).map((one) => ({
      memberId: textOf(one["memberID"]),
      alarm: textOf(one["alarm"]),
    }));
  }

  /** Takes an alarm back: writes are possible again. Errors: LIFE_ETCD_*. */
  async disarm(endpoints: readonly string[], { memberId, alarm }: EtcdAlarm): Promise<void> {
    const body = { action: "DEACTIVATE", memberID: memberId, alarm };
    await this.#askAny(endpoints, "/v3/maintenance/alarm", body, CHANGE_MS);
  }

  /** Forgets history before the revision. Errors: LIFE_ETCD_*. */
  async compact(endpoints: readonly string[], revision: number): Promise<void> {
    const body = { revision: String(revision), physical: true };
    await this.#askAny(endpoints, "/v3/kv/compaction", body, CHANGE_MS);
  }

  /** Gives the file's unused space back; this member answers nobody meanwhile. */
  async defragment(endpoint: string): Promise<void> {
    await this.#ask(endpoint, "/v3/maintenance/defragment", {}, DEFRAGMENT_MS);
  }

  /** A whole copy, piece by piece to `put`. Errors: LIFE_ETCD_*, and what `put` throws. */
  async snapshot(endpoint: string, put: (piece: Buffer) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const isDone = { now: false };
    const stream = this.#http.stream(endpoint, "/v3/maintenance/snapshot", {}, SNAPSHOT_FIRST_MS, {
      line: (line) => {
        try {
          const { result } = (line ?? {}) as { readonly result?: Json };
          if (result === undefined) throw etcdRefused(endpoint, "no snapshot");
          put(Buffer.from(textOf(result["blob"]), "base64"));
          isDone.now = Number(result["remaining_bytes"] ?? 0) === 0;
        } catch (error) {
          reject(error);
        }
      },
      // etcd ends the stream behind the last piece.
      end: (error) => (isDone.now ? resolve() : reject(error)),
    });
    try {
      await promise;
    } finally {
      stream.close();
    }
  }

  close(): void {
    this.#http.close();
  }

  /** Whoever answers first; a refusal is an answer. */
  async #askAny(
    endpoints: readonly string[],
    path: string,
    body: Json,
    timeoutMs: number,
  ): Promise<Json> {
    let last: unknown = etcdAway("nobody");
    for (const endpoint of endpoints) {
      try {
        return await this.#ask(endpoint, path, body, timeoutMs);
      } catch (error) {
        if (error instanceof CodedError && error.code === "LIFE_ETCD_REFUSED") throw error;
        last = error;
      }
    }
    throw last;
  }

  async #ask(endpoint: string, path: string, body: Json, timeoutMs: number): Promise<Json> {
    const asked = await this.#http.ask(endpoint, path, body, timeoutMs);
    if (asked.type !== "answer") throw etcdAway(endpoint, asked.error);
    const json = (asked.json ?? {}) as Json;
    const why = json["error"] ?? (json["code"] === undefined ? undefined : json["message"]);
    if (why === undefined) return json;
    const text = String(why);
    // Without a leader, or on its way: another member may know more.
    if (/no leader|timed out|unavailable|stopped|not supported for learner/i.test(text))
      throw etcdAway(endpoint, text);
    throw etcdRefused(endpoint, text);
  }
}

const etcdAway = (endpoint: string, cause?: unknown): CodedError =>
  new CodedError("LIFE_ETCD_AWAY", `${endpoint} of etcd does not answer`, {
    remedy: "see satsuma cluster status for which members of etcd run",
    cause,
  });

const etcdRefused = (endpoint: string, why: string): CodedError =>
  new CodedError("LIFE_ETCD_REFUSED", `etcd refuses: ${why}`, {
    remedy: "see satsuma cluster status; the board tries again by itself",
    details: { endpoint },
  });

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

const listOf = (value: unknown): readonly Json[] => (Array.isArray(value) ? value : []);

const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
