/** Talks to the API of the board that served the panel. */

import type { ProblemDocument } from "../../../src/api/schemas/common.ts";
import type { ApiRequest } from "./api-request.ts";

const TIMEOUT_MS = 45_000;
const PAGE_LIMIT = 1000;
const PAGES_MAX = 10;

/** A request that failed: the problem the board told, or one of ours when it did not answer. */
export class ApiProblem extends Error {
  readonly document: ProblemDocument;

  constructor(document: ProblemDocument) {
    super(document.title);
    this.document = document;
  }
}

/** Code of the problem "no answer", made here. */
export const NO_ANSWER = "PANEL_NO_ANSWER";

/** Words for the problem that is made here; from the message catalogue. */
export interface NoAnswerText {
  readonly title: string;
  readonly detail: string;
  readonly correction: string;
}

/** Requests with one token. */
export class ApiClient {
  readonly #token: string;
  readonly #noAnswer: NoAnswerText;

  constructor(token: string, noAnswer: NoAnswerText) {
    this.#token = token;
    this.#noAnswer = noAnswer;
  }

  /** The parsed reply, null when it is empty. Errors: ApiProblem. */
  async send<Reply>(request: ApiRequest): Promise<Reply> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (request.body !== undefined) {
      headers["content-type"] = "application/json";
    }
    if (request.wait !== undefined) {
      headers["prefer"] = `wait=${request.wait}`;
    }
    const response = await this.#fetch(request.path, {
      method: request.method,
      headers,
      signal: AbortSignal.timeout(
        request.patience === undefined ? TIMEOUT_MS : request.patience * 1000,
      ),
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
    const text = await response.text();
    return (text === "" ? null : JSON.parse(text)) as Reply;
  }

  /** Every item of a collection, page by page. Errors: ApiProblem. */
  async list<Item>(path: string): Promise<readonly Item[]> {
    const items: Item[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const reply: { items: Item[]; next_cursor: string | null } = await this.send({
        method: "GET",
        path: `${path}?limit=${PAGE_LIMIT}${query}`,
      });
      items.push(...reply.items);
      cursor = reply.next_cursor;
      if (cursor === null) {
        break;
      }
    }
    return items;
  }

  /** The open event stream from `lastEventId` on. Errors: ApiProblem. */
  async openEvents(lastEventId: string | null, signal: AbortSignal): Promise<Response> {
    return await this.#fetch("/api/v1/events", {
      headers: {
        accept: "text/event-stream",
        ...(lastEventId === null ? {} : { "last-event-id": lastEventId }),
      },
      cache: "no-store",
      signal,
    });
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = { ...init.headers, authorization: `Bearer ${this.#token}` };
    let response: Response;
    try {
      response = await fetch(path, { ...init, headers });
    } catch (error) {
      throw this.#withoutAnswer(path, error instanceof Error ? error.message : String(error));
    }
    if (!response.ok) {
      throw await this.#problemOf(path, response);
    }
    return response;
  }

  async #problemOf(path: string, response: Response): Promise<ApiProblem> {
    try {
      return new ApiProblem((await response.json()) as ProblemDocument);
    } catch {
      return this.#withoutAnswer(path, `HTTP ${response.status} ${response.statusText}`);
    }
  }

  #withoutAnswer(path: string, cause: string): ApiProblem {
    return new ApiProblem({
      type: "about:blank",
      status: 503,
      code: NO_ANSWER,
      help: "",
      instance: path,
      request_id: "",
      cause,
      ...this.#noAnswer,
    });
  }
}
