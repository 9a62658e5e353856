/**
 * The API over a control bench, asked by injection. Every reply is checked against the schema that
 * the OpenAPI document declares for it, so a route cannot answer what it does not declare.
 */
import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import type { TSchema } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import { build } from "../../src/api/server.ts";
import { holderOf } from "../../src/control/access-token.ts";
import { type BenchOptions, type ControlBench, openBench } from "./control-bench.ts";
import { eventually } from "./timeout.ts";

export interface Answer {
  readonly status: number;
  /** Parsed JSON, or the text when it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape
  readonly body: any;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface AskOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** null: without a token. */
  readonly token?: string | null;
}

export interface ApiBench extends ControlBench {
  readonly app: FastifyInstance;
  ask(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    url: string,
    options?: AskOptions,
  ): Promise<Answer>;
  /** Asks and waits for the job to end: `Prefer: wait`. */
  do(method: "POST" | "DELETE", url: string, body?: unknown): Promise<Answer>;
}

interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: unknown }>> }>
  >;
}

/** `schema` with every reference replaced by what it refers to. */
function inline(schema: unknown, document: OpenApiDocument): unknown {
  if (Array.isArray(schema)) return schema.map((item) => inline(item, document));
  if (typeof schema !== "object" || schema === null) return schema;
  const reference = (schema as { readonly $ref?: string }).$ref;
  if (reference !== undefined) {
    const name = reference.replace("#/components/schemas/", "");
    return inline(document.components.schemas[name], document);
  }
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, inline(value, document)]),
  );
}

class ReplyCheck {
  readonly #document: OpenApiDocument;
  readonly #compiled = new Map<string, Validator>();

  constructor(app: FastifyInstance) {
    this.#document = app.swagger() as unknown as OpenApiDocument;
  }

  check(method: string, url: string, answer: Answer): void {
    const path = this.#templateOf(url.split("?", 1)[0] ?? "");
    const operation = this.#document.paths[path ?? ""]?.[method.toLowerCase()];
    if (operation === undefined || answer.status === 204) return;
    const { responses } = operation;
    const declared = responses[answer.status] ?? responses[`${Math.floor(answer.status / 100)}XX`];
    const schema = declared?.content?.["application/json"]?.schema;
    const where = `${method} ${url} answered ${answer.status}`;
    if (schema === undefined) throw new Error(`${where}, which is not declared`);
    const key = `${method} ${path} ${answer.status}`;
    const validator = this.#compiled.get(key) ?? Compile(inline(schema, this.#document) as TSchema);
    this.#compiled.set(key, validator);
    if (!validator.Check(answer.body)) {
      const faults = validator.Errors(answer.body).slice(0, 5);
      throw new Error(`${where} with a body unlike its schema: ${JSON.stringify(faults)}`);
    }
  }

  #templateOf(path: string): string | undefined {
    const exact = Object.keys(this.#document.paths).find((template) => template === path);
    return (
      exact ??
      Object.keys(this.#document.paths).find((template) =>
        new RegExp(`^${template.replace(/\{[^}]+\}/g, "[^/]+")}$`).test(path),
      )
    );
  }
}

/** The server was late: the machine had other work for so long. The request was not looked at. */
const isShed = ({ statusCode, body }: LightMyRequestResponse): boolean =>
  statusCode === 503 && body.includes("API_OVERLOADED");

const untilPunctual = async (app: FastifyInstance): Promise<void> => {
  await eventually(
    "the server keeps up",
    60_000,
    async () => !isShed(await app.inject({ url: "/api/v1/openapi.json" })),
  );
};

export interface ApiBenchOptions extends BenchOptions {
  readonly panelDirectory?: string;
  readonly requestsPerMinute?: number;
}

export async function openApiBench(options: ApiBenchOptions): Promise<ApiBench> {
  const bench = await openBench(options);
  const app = await build({
    control: bench.control,
    checkToken: (token) => holderOf(bench.control.store.tokens, token),
    panelDirectory: options.panelDirectory ?? null,
    ...(options.requestsPerMinute === undefined
      ? {}
      : { requestsPerMinute: options.requestsPerMinute }),
  });
  await app.ready();
  const replies = new ReplyCheck(app);
  await untilPunctual(app);
  const ask: ApiBench["ask"] = async (method, url, asked = {}) => {
    const token = asked.token === undefined ? bench.token : asked.token;
    const send = () =>
      app.inject({
        method,
        url,
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...asked.headers,
        },
        ...(asked.body === undefined ? {} : { payload: asked.body as object }),
      });
    let response = await send();
    for (; isShed(response); response = await send()) await untilPunctual(app);
    const isJson = /json/.test(String(response.headers["content-type"]));
    const answer: Answer = {
      status: response.statusCode,
      body: isJson ? response.json() : response.body,
      headers: response.headers,
    };
    if (isJson) replies.check(method, url, answer);
    return answer;
  };
  return {
    ...bench,
    app,
    ask,
    do: (method, url, body) =>
      ask(method, url, { headers: { prefer: "wait=10" }, ...(body === undefined ? {} : { body }) }),
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await bench[Symbol.asyncDispose]();
    },
  };
}

/** An API bench with the array md0 on disk1 and disk2, and disk3 free. */
export async function openApiBoard(folder: string): Promise<ApiBench> {
  const bench = await openApiBench({ folder, images: ["disk1", "disk2", "disk3"] });
  const made = await bench.do("POST", "/api/v1/arrays", {
    name: "md0",
    level: "raid1",
    device_ids: ["disk1", "disk2"],
  });
  if (made.status !== 201) throw new Error(`no array: ${JSON.stringify(made.body)}`);
  return bench;
}
