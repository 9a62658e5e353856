/**
 * The cluster port: HTTPS with the board's certificate, where newcomers ask to join. Its first
 * answer is the CA's certificate, which the newcomer compares with the fingerprint of its token
 * before it says anything else.
 */
import https from "node:https";
import type { AddressInfo } from "node:net";
import { CodedError, toPlainError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { Identity } from "./identity-driver.ts";
import type { JoinAsk, JoinGrant } from "./join-messages.ts";
import { readAsk } from "./join-messages.ts";

/** Longest request. */
const BODY_BYTES_MAX = 32 * 1024;
const CONNECTIONS_MAX = 16;
const REQUEST_MS = 10_000;
/** A join starts an etcd, which takes seconds on a slow disk. */
const ANSWER_MS = 90_000;

export const CA_PATH = "/cluster/v1/ca";
export const JOIN_PATH = "/cluster/v1/join";

export class ClusterPort {
  readonly #server: https.Server;

  private constructor(server: https.Server) {
    this.#server = server;
  }

  /** Listens at the identity's host and cluster port. Errors: LIFE_PORT_UNUSABLE. */
  static async open(
    identity: Identity,
    grant: (ask: JoinAsk) => Promise<JoinGrant>,
    logger: Logger,
  ): Promise<ClusterPort> {
    const { ca, own, host, ports } = identity;
    const options = { cert: own.cert + ca, key: own.key, requestTimeout: REQUEST_MS };
    const server = https.createServer(options, (request, response) => {
      const answer = (status: number, body: object): void => {
        const text = JSON.stringify(body);
        response.writeHead(status, {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(text),
          connection: "close",
        });
        response.end(text);
      };
      const path = `${request.method} ${request.url}`;
      if (path === `GET ${CA_PATH}`) return answer(200, { ca });
      if (path !== `POST ${JOIN_PATH}`) return answer(404, { error: { code: "NOT_FOUND" } });
      readBody(request)
        .then((text) => grant(readAsk(text)))
        .then((granted) => answer(200, granted))
        .catch((error: unknown) => {
          const coded = error instanceof CodedError;
          logger.warn({ error, from: request.socket.remoteAddress }, "join-refused");
          answer(coded ? 403 : 500, coded ? { error: toPlainError(error) } : {});
        });
    });
    server.maxConnections = CONNECTIONS_MAX;
    server.setTimeout(ANSWER_MS);
    await listen(server, isAddress(host) ? host : undefined, ports.cluster);
    server.unref();
    return new ClusterPort(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
  }
}

const isAddress = (host: string): boolean => /^[0-9.]+$/.test(host) || host.includes(":");

const listen = async (server: https.Server, host: string | undefined, port: number) => {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
  try {
    await promise;
  } catch (cause) {
    throw new CodedError("LIFE_PORT_UNUSABLE", `cannot listen on ${host ?? "*"}:${port}`, {
      remedy: "end what listens there; the port is in cluster.json of the data folder",
      cause,
    });
  }
};

const readBody = async (request: AsyncIterable<Buffer>): Promise<string> => {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request) {
    bytes += piece.length;
    if (bytes > BODY_BYTES_MAX) {
      throw new CodedError("LIFE_BAD_REQUEST", `a request has more than ${BODY_BYTES_MAX} bytes`, {
        remedy: "ask with the verbs of the same version of satsuma",
      });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
};
