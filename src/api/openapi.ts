/** The OpenAPI 3.1 document, made from the routes' schemas and served at /api/v1/openapi.json. */

import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";

const TAGS = [
  { name: "system", description: "The board" },
  { name: "arrays", description: "md arrays: create, assemble, stop, sync" },
  { name: "members", description: "Members of an array, with mdadm's verbs" },
  { name: "exports", description: "NBD exports" },
  { name: "devices", description: "Files and block devices that may become members" },
  { name: "cluster", description: "Nodes that share arrays: locks, messages, what waits" },
  { name: "jobs", description: "Work that goes on after the reply" },
  { name: "events", description: "History and live stream" },
  { name: "lab", description: "Faults for experiments, in lab mode only" },
];

/** Registers the generator: BEFORE the routes it is to describe. */
export async function registerOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Satsuma",
        version,
        description:
          "md mirrors over NBD. Sizes and offsets are bytes, rates bytes per second, durations seconds, times RFC 3339 UTC. Failures are RFC 9457 problems.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      tags: TAGS,
      components: {
        securitySchemes: {
          token: { type: "http", scheme: "bearer", bearerFormat: "satsuma_<id>_<secret>" },
        },
      },
      security: [{ token: [] }],
    },
    refResolver: {
      buildLocalReference: (schema, _baseUri, _fragment, index) =>
        typeof schema["$id"] === "string" ? schema["$id"] : `schema-${index}`,
    },
  });
  app.get("/api/v1/openapi.json", { schema: { hide: true } }, async () => app.swagger());
}
