/** Binds the HTTP server and tells where it listens. */

import type { FastifyInstance } from "fastify";
import { CodedError } from "../common/errors.ts";

/** Where the server listens. */
export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Listens at `address`; port 0 takes a free one. Returns the address taken.
 * Errors: API_ADDRESS_IN_USE, API_ADDRESS_UNUSABLE.
 */
export async function listen(app: FastifyInstance, address: HttpAddress): Promise<HttpAddress> {
  const { host, port } = address;
  try {
    await app.listen({ host, port });
  } catch (error) {
    const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
    if (code === "EADDRINUSE") {
      throw new CodedError("API_ADDRESS_IN_USE", `port ${port} on ${host} is in use`, {
        remedy: "stop what listens there, or choose another with --http HOST:PORT",
        details: { host, port },
        cause: error,
      });
    }
    if (code === "EADDRNOTAVAIL" || code === "EACCES" || code === "ENOTFOUND") {
      throw new CodedError("API_ADDRESS_UNUSABLE", `cannot listen on ${host}:${port} (${code})`, {
        remedy: "give an address of this machine and a port the daemon may use, with --http",
        details: { host, port },
        cause: error,
      });
    }
    throw error;
  }
  const bound = app.server.address();
  return { host, port: bound !== null && typeof bound === "object" ? bound.port : port };
}
