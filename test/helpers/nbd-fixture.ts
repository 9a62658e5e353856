/** An NBD server over memory on a unix socket and a TCP port, for one test. */
import { join } from "node:path";
import type { ExportEntry, ExportNotice } from "../../src/nbd/export-backend.ts";
import { listenNbd, type NbdServer, type NbdServerOptions } from "../../src/nbd/server-driver.ts";
import { directoryOf, exportEntry, MemoryBackend, type MemoryOptions } from "./memory-backend.ts";
import { RawNbdClient } from "./raw-nbd-client.ts";
import { inFolder } from "./temporary-folder.ts";
import { withTimeout } from "./timeout.ts";

const MIB = 2 ** 20;
const LIMIT_MS = 60_000;

export interface NbdFixtureOptions {
  readonly backend?: Partial<MemoryOptions>;
  readonly entry?: Partial<ExportEntry>;
  readonly server?: NbdServerOptions;
  /** Exports beside `md0`. */
  readonly more?: readonly ExportEntry[];
}

export interface NbdFixture {
  readonly server: NbdServer;
  readonly backend: MemoryBackend;
  /** The directory's entries; tests may change them. */
  readonly entries: ExportEntry[];
  /** Exports to come; tests may change them. */
  readonly coming: ExportNotice[];
  readonly folder: string;
  readonly path: string;
  readonly port: number;
  /** URI of `md0` over the unix socket. */
  readonly uri: string;
  /** A connection in transmission on `md0`; closed after the test. */
  attach(options?: { readonly structured?: boolean }): Promise<RawNbdClient>;
  /** A connection before its handshake; closed after the test. */
  connect(): Promise<RawNbdClient>;
}

/**
 * Wraps the body of a test: serves `md0` of 1 MiB, and afterwards closes the clients and the
 * server. A server that does not close in time fails the test.
 */
export function withNbdServer(
  options: NbdFixtureOptions,
  body: (fixture: NbdFixture) => Promise<void>,
): () => Promise<void> {
  const run = inFolder(async (folder) => {
    const backend = new MemoryBackend({ sizeBytes: MIB, ...options.backend });
    const entries = [exportEntry(backend, options.entry), ...(options.more ?? [])];
    const coming: ExportNotice[] = [];
    const path = join(folder, "s");
    const server = await listenNbd(
      [{ path }, { host: "127.0.0.1", port: 0 }],
      directoryOf(entries, coming),
      options.server,
    );
    const clients: RawNbdClient[] = [];
    const keep = async (made: Promise<RawNbdClient>): Promise<RawNbdClient> => {
      const client = await made;
      clients.push(client);
      return client;
    };
    const port = server.addresses[1]?.port ?? 0;
    try {
      await body({
        server,
        backend,
        entries,
        coming,
        folder,
        path,
        port,
        uri: `nbd+unix:///md0?socket=${path}`,
        attach: (how = {}) => keep(RawNbdClient.attach({ path }, "md0", how)),
        connect: () => keep(RawNbdClient.connect({ path })),
      });
    } finally {
      for (const client of clients) client.close();
      backend.setPace("at-once");
      backend.release();
      await server.close();
    }
  });
  return async () => withTimeout(LIMIT_MS, run)(undefined as never);
}
