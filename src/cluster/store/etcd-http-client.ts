/**
 * Requests to one etcd member's JSON gateway over node:http(s): one with a deadline, or a stream of
 * lines. Not `fetch`: it ends a body that is silent for 300 s, as a quiet watch's is.
 */
import http from "node:http";
import https from "node:https";
import type { CodedError } from "../../common/errors.ts";
import { badAnswer, storeUnreachable } from "./store-errors.ts";

/** PEM texts. etcd's own server certificate needs the clientAuth usage too, else code 14. */
export interface EtcdTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export type HttpAnswer =
  | { readonly type: "answer"; readonly json: unknown }
  /** No connection was made: nothing was sent. */
  | { readonly type: "not-sent"; readonly error: CodedError }
  /** The request may have arrived. */
  | { readonly type: "lost"; readonly error: CodedError };

/** Longest answer, or line of a stream; etcd's own messages are at most 1.5 MiB before base64. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Connections kept per member: the requests that a board has under way at a time. */
const SOCKETS_MAX = 32;
/** A connection is made within this, or not at all. Choice: TLS on a board that is very busy. */
const WARM_MS = 5000;

/** etcd refuses a certificate without a word. */
const HUNG_UP = "it closes the connection: it is ending, or refuses this board's certificate";

export interface LineStream {
  close(): void;
}

export interface StreamListener {
  readonly line: (json: unknown) => void;
  /** Once, unless closed before. */
  readonly end: (error: CodedError) => void;
}

export class EtcdHttp {
  readonly #tls: EtcdTls | null;
  readonly #agent: http.Agent;
  /** Endpoints to which a connection is made that nobody waits for. */
  readonly #warming = new Set<string>();

  constructor(tls: EtcdTls | null) {
    this.#tls = tls;
    const options = { keepAlive: true, maxSockets: SOCKETS_MAX };
    this.#agent = tls === null ? new http.Agent(options) : new https.Agent({ ...options, ...tls });
  }

  /** One request; GET when there is no body. Never rejects. */
  ask(endpoint: string, path: string, body: unknown, timeoutMs: number): Promise<HttpAnswer> {
    const { promise, resolve } = Promise.withResolvers<HttpAnswer>();
    const request = this.#open(endpoint, path, body, this.#agent);
    let isSent = false;
    const fail = (error: CodedError): void => {
      resolve({ type: isSent ? "lost" : "not-sent", error });
      request.destroy();
    };
    // A real deadline for the whole exchange; it does not keep the process alive.
    const timer = setTimeout(() => {
      const isConnected = isSent;
      fail(storeUnreachable(`no answer of ${endpoint} in ${timeoutMs} ms`));
      if (!isConnected) this.#warm(endpoint);
    }, timeoutMs).unref();
    request.on("socket", (socket) => {
      const connected = this.#tls === null ? "connect" : "secureConnect";
      if (!socket.connecting) isSent = true;
      else socket.once(connected, () => (isSent = true));
    });
    request.on("error", (cause) => {
      const isHungUp = this.#tls !== null && isSent && cause.message === "socket hang up";
      const text = isHungUp ? HUNG_UP : cause.message;
      fail(storeUnreachable(`${endpoint}: ${text}`, cause));
    });
    request.on("close", () => clearTimeout(timer));
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) fail(badAnswer(`more than ${ANSWER_BYTES_MAX} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", (cause) =>
        fail(storeUnreachable(`${endpoint}: ${cause.message}`, cause)),
      );
      response.on("end", () => {
        const json = parse(Buffer.concat(chunks).toString("utf8"));
        if (json === undefined) fail(badAnswer(`${endpoint} sends no JSON`));
        else resolve({ type: "answer", json });
      });
    });
    return promise;
  }

  /**
   * Makes a connection, for as long as that takes, and keeps it for later requests. Where a TLS
   * handshake takes longer than a request may, no request would ever come to its answer: each that
   * is given up takes its connection with it.
   */
  #warm(endpoint: string): void {
    if (this.#warming.has(endpoint)) return;
    this.#warming.add(endpoint);
    const request = this.#open(endpoint, "/version", undefined, this.#agent);
    const timer = setTimeout(() => request.destroy(), WARM_MS).unref();
    request.on("socket", (socket) => socket.unref());
    request.on("response", (response) => response.resume());
    request.on("error", () => undefined);
    request.on("close", () => {
      clearTimeout(timer);
      this.#warming.delete(endpoint);
    });
  }

  /** A stream on a connection of its own. Its first line must come within `timeoutMs`. */
  stream(
    endpoint: string,
    path: string,
    body: unknown,
    timeoutMs: number,
    listener: StreamListener,
  ): LineStream {
    let isOpen = true;
    const request = this.#open(endpoint, path, body, undefined);
    const end = (error: CodedError): void => {
      if (!isOpen) return;
      close();
      listener.end(error);
    };
    const timer = setTimeout(() => end(storeUnreachable(`${endpoint} opens no watch`)), timeoutMs);
    const close = (): void => {
      isOpen = false;
      clearTimeout(timer);
      request.destroy();
    };
    request.on("error", (cause) => end(storeUnreachable(`${endpoint}: ${cause.message}`, cause)));
    request.on("response", (response) => {
      let rest = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        if (rest.length > ANSWER_BYTES_MAX) end(badAnswer("a line without end"));
        for (const line of lines) {
          if (!isOpen) return;
          clearTimeout(timer);
          const json = parse(line);
          if (json === undefined) end(badAnswer(`${endpoint} streams no JSON`));
          else listener.line(json);
        }
      });
      response.on("error", (cause) =>
        end(storeUnreachable(`${endpoint}: ${cause.message}`, cause)),
      );
      response.on("end", () => end(storeUnreachable(`${endpoint} ended the watch`)));
    });
    return { close };
  }

  /** Ends all connections that are kept. */
  close(): void {
    this.#agent.destroy();
  }

  #open(
    endpoint: string,
    path: string,
    body: unknown,
    agent: http.Agent | undefined,
  ): http.ClientRequest {
    const text = body === undefined ? "" : JSON.stringify(body);
    const options: https.RequestOptions = {
      method: body === undefined ? "GET" : "POST",
      // Without it a member that has lost its raft peers answers, or keeps silent, for ever.
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
        "grpc-metadata-hasleader": "true",
      },
      agent: agent ?? false,
    };
    const url = new URL(path, endpoint);
    const request =
      this.#tls === null
        ? http.request(url, options)
        : https.request(url, { ...options, ...this.#tls });
    request.end(text);
    return request;
  }
}

/** Undefined for what is no JSON. */
const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
