/**
 * Who takes part in an array now, asked by a board that does not. For people who want to know where
 * to go on; nothing that keeps arrays safe goes by it.
 */
import { arrayPrefix } from "./board-keys.ts";
import { EtcdHttp, type EtcdTls } from "./etcd-http-client.ts";
import { rangeReply, rangeRequest } from "./etcd-messages.ts";
import { decodeMember } from "./member-records.ts";
import { StoreKeys } from "./store-keys.ts";

/** A board, and where its exports are. */
export interface EtcdMember {
  readonly node: string;
  readonly address: string;
}

const ASK_MS = 1000;

/** Members in an answer to a range over m/; null: it is none. Values of others are passed over. */
export const membersIn = (json: unknown): EtcdMember[] | null => {
  try {
    return rangeReply(json).flatMap(({ value }) => memberIn(value));
  } catch {
    return null;
  }
};

const memberIn = (value: string): EtcdMember[] => {
  try {
    const { node, address } = decodeMember(value);
    return [{ node, address }];
  } catch {
    return [];
  }
};

/** Boards whose sessions there are, by slot; null: nobody told. Never rejects. */
export const readMembers = async (
  { endpoints, tls }: { readonly endpoints: readonly string[]; readonly tls: EtcdTls | null },
  cluster: string,
  uuid: string,
): Promise<readonly EtcdMember[] | null> => {
  const http = new EtcdHttp(tls);
  const request = rangeRequest(new StoreKeys(arrayPrefix(cluster, uuid)).members);
  try {
    for (const endpoint of endpoints) {
      const answer = await http.ask(endpoint, "/v3/kv/range", request, ASK_MS);
      const members = answer.type === "answer" ? membersIn(answer.json) : null;
      if (members !== null) return members;
    }
    return null;
  } finally {
    http.close();
  }
};
