/**
 * Who votes in etcd, and who of them answers now. Asked once in a while for people who want to know
 * what a board's end would cost; nothing that keeps arrays safe goes by it.
 */
import { EtcdHttp, type EtcdTls } from "./etcd-http-client.ts";

/** A voting member of etcd. */
export interface EtcdVoter {
  readonly name: string;
  readonly urls: readonly string[];
  /** It has a leader and answers. */
  readonly isHealthy: boolean;
}

/** Its answers are short, and a member that takes longer is not one to count on. */
const ASK_MS = 1000;
const VOTERS_MAX = 64;

const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];

/** Voters in an answer to `/v3/cluster/member/list`; null: it is none. Learners do not vote. */
export const votersIn = (json: unknown): Omit<EtcdVoter, "isHealthy">[] | null => {
  const { members } = (json ?? {}) as { members?: unknown };
  if (!Array.isArray(members)) return null;
  return members.slice(0, VOTERS_MAX).flatMap((member) => {
    const { name, clientURLs, isLearner } = (member ?? {}) as Readonly<Record<string, unknown>>;
    if (isLearner === true) return [];
    return [{ name: typeof name === "string" ? name : "", urls: textsOf(clientURLs) }];
  });
};

/** True for an answer to `/v3/maintenance/status` of a member that has a leader. */
export const canCommit = (json: unknown): boolean => {
  const answer = (json ?? {}) as Readonly<Record<string, unknown>>;
  const elected = answer["leader"] ?? "0";
  return elected !== "0" && textsOf(answer["errors"]).length === 0;
};

/** The voters, or why nobody told them. Never rejects. */
export const readVoters = async (
  endpoints: readonly string[],
  tls: EtcdTls | null,
): Promise<{ readonly voters: readonly EtcdVoter[]; readonly problem: string | null }> => {
  const http = new EtcdHttp(tls);
  try {
    let problem = "no member of etcd is known";
    for (const endpoint of endpoints) {
      const answer = await http.ask(endpoint, "/v3/cluster/member/list", {}, ASK_MS);
      if (answer.type !== "answer") {
        problem = answer.error.message;
        continue;
      }
      const listed = votersIn(answer.json);
      if (listed === null) {
        problem = `${endpoint} does not list its members`;
        continue;
      }
      const isHealthy = await Promise.all(listed.map(({ urls }) => answers(http, urls)));
      const voters = listed.map((voter, at) => ({ ...voter, isHealthy: isHealthy[at] === true }));
      return { voters, problem: null };
    }
    return { voters: [], problem };
  } finally {
    http.close();
  }
};

const answers = async (http: EtcdHttp, urls: readonly string[]): Promise<boolean> => {
  for (const url of urls) {
    const answer = await http.ask(url, "/v3/maintenance/status", {}, ASK_MS);
    if (answer.type === "answer" && canCommit(answer.json)) return true;
  }
  return false;
};
