/**
 * The REST client of the online verbs: where the daemon is and with which token, requests, and the
 * problems it answers with as coded errors.
 */

import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { ProblemDocument } from "../api/schemas/common.ts";
import { CodedError, fromPlainError } from "../common/errors.ts";
import { clientEnvironment, demoDirectory } from "../config.ts";

/** Flags that name the daemon. */
export interface AccessFlags {
  readonly api?: string;
  readonly token?: string;
  readonly data?: string;
}

/** Where the daemon is, and the token it wants. */
export interface ApiAccess {
  readonly url: string;
  readonly token: string;
}

/** Verbs may wait for other boards and for members; a daemon that reads is quick, or hangs. */
export const VERB_LIMIT_MS = 90_000;
const READ_LIMIT_MS = 15_000;
/** How often a busy board is asked, and how long it is left alone in between. */
const BUSY_TRIES = 10;
const BUSY_PAUSE_MS = 1_000;

const readJson = (file: string): Record<string, unknown> | null => {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return null;
    }
    throw new CodedError("CLI_CREDENTIALS_UNREADABLE", `${file} cannot be read`, {
      remedy: "give --api URL and --token TOKEN",
      cause: error,
    });
  }
};

const readToken = (file: string): string => {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new CodedError("CLI_CREDENTIALS_UNREADABLE", `${file} cannot be read`, {
      remedy: "give --token TOKEN",
      cause: error,
    });
  }
};

/** What `demo` or `serve` left in its folder, or null. */
const accessOf = (folder: string): ApiAccess | null => {
  const credentials = readJson(path.join(folder, "credentials.json"));
  const [board] = (credentials?.["boards"] ?? []) as readonly Partial<ApiAccess>[];
  if (board?.url !== undefined && board.token !== undefined) {
    return { url: board.url, token: board.token };
  }
  const daemon = readJson(path.join(folder, "daemon.json"));
  return daemon === null
    ? null
    : { url: String(daemon["url"]), token: readToken(path.join(folder, "token")) };
};

/**
 * The access by flags, else environment, else what `--data DIR` (default: the demo's folder) holds.
 * Errors: CLI_NO_DAEMON, CLI_CREDENTIALS_UNREADABLE.
 */
export function resolveAccess(flags: AccessFlags): ApiAccess {
  const environment = clientEnvironment();
  const url = flags.api ?? environment.api;
  const token = flags.token ?? environment.token;
  if (url !== null && url !== undefined && token !== null && token !== undefined) {
    return { url: url.replace(/\/+$/, ""), token };
  }
  const folder = path.resolve(flags.data ?? demoDirectory());
  const found = accessOf(folder);
  if (found === null) {
    throw new CodedError("CLI_NO_DAEMON", `${folder} tells of no daemon`, {
      remedy: "give --data DIR of a running daemon, or --api URL and --token TOKEN",
    });
  }
  return {
    url: (url ?? found.url).replace(/\/+$/, ""),
    token: token ?? found.token,
  };
}

/** What a request may carry. `wait`: seconds to wait for the end of the job it starts. */
export interface RequestOptions {
  readonly body?: unknown;
  readonly wait?: number;
  readonly accept?: string;
  readonly lastEventId?: number;
  readonly signal?: AbortSignal;
}

const isProblem = (value: unknown): value is ProblemDocument =>
  typeof value === "object" && value !== null && "code" in value && "detail" in value;

/** A problem document as the error it tells of. */
const errorOf = (value: unknown, status: number): CodedError =>
  isProblem(value)
    ? fromPlainError({
        code: value.code,
        message: value.detail,
        remedy: value.correction ?? "",
        details: { status, ...value.details },
      })
    : new CodedError("CLI_UNEXPECTED_REPLY", `the daemon answered with HTTP ${status}`, {
        remedy: "check that --api names a Satsuma daemon",
      });

/** Requests to one daemon; `readLimitMs`: how long one that changes nothing may take. */
export class ApiClient {
  readonly url: string;
  readonly #token: string;
  readonly #readLimitMs: number;

  constructor(access: ApiAccess, readLimitMs = READ_LIMIT_MS) {
    this.url = access.url;
    this.#token = access.token;
    this.#readLimitMs = readLimitMs;
  }

  /**
   * The reply's JSON, undefined when empty. Errors: the problem's code, CLI_API_UNREACHABLE,
   * CLI_API_SILENT.
   */
  async request<Reply>(
    method: string,
    requestPath: string,
    options: RequestOptions = {},
  ): Promise<Reply> {
    const isRead = method === "GET" && options.wait === undefined;
    const limitMs = isRead ? this.#readLimitMs : VERB_LIMIT_MS;
    const signal = AbortSignal.timeout(limitMs);
    try {
      const response = await this.open(method, requestPath, { signal, ...options });
      const text = await response.text();
      return (text === "" ? undefined : JSON.parse(text)) as Reply;
    } catch (error) {
      if (error instanceof CodedError || !signal.aborted) throw error;
      throw this.#silent(limitMs, error);
    }
  }

  /**
   * The open reply, for streams. A board that is too busy just now is asked again a few times: it
   * has done nothing of the request. Errors: as `request`.
   */
  async open(method: string, requestPath: string, options: RequestOptions): Promise<Response> {
    for (let tries = 1; ; tries++) {
      const response = await this.#send(method, requestPath, options);
      if (response.ok) return response;
      const error = errorOf(parseOrNull(await response.text()), response.status);
      if (error.code !== "API_OVERLOADED" || tries === BUSY_TRIES) throw error;
      await pause(BUSY_PAUSE_MS, undefined, options.signal ? { signal: options.signal } : {});
    }
  }

  async #send(method: string, requestPath: string, options: RequestOptions): Promise<Response> {
    const headers: Record<string, string> = {
      authorization: `Bearer ${this.#token}`,
      accept: options.accept ?? "application/json",
    };
    if (options.body !== undefined) {
      headers["content-type"] = "application/json";
    }
    if (options.wait !== undefined) {
      headers["prefer"] = `wait=${options.wait}`;
    }
    if (options.lastEventId !== undefined) {
      headers["last-event-id"] = String(options.lastEventId);
    }
    try {
      return await fetch(`${this.url}${requestPath}`, {
        method,
        headers,
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
    } catch (error) {
      // What took too long, or was given up: whoever gave the signal knows.
      if (options.signal?.aborted) throw error;
      throw new CodedError("CLI_API_UNREACHABLE", `no daemon answers at ${this.url}`, {
        remedy: "start it with `satsuma serve` or `satsuma demo`, or correct --api",
        cause: error,
      });
    }
  }

  /** Its port is open, which one without a daemon is not: it hangs, was stopped or is very busy. */
  #silent(limitMs: number, cause: unknown): CodedError {
    const message = `the daemon at ${this.url} does not answer: nothing came in ${limitMs / 1000} s`;
    return new CodedError("CLI_API_SILENT", message, {
      remedy: "it hangs, was stopped (kill -STOP) or is too busy: look at its process and its log",
      cause,
    });
  }
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: not one of ours; the caller tells by the status.
    return null;
  }
}
