/**
 * The daemon as a whole over the fake engine: what it leaves in its data directory, and that a
 * start that fails gives everything back.
 */
import { existsSync, lstatSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../src/common/errors.ts";
import { silentLogger } from "../../src/common/log.ts";
import { type ConfigFlags, loadConfig } from "../../src/config.ts";
import type { EngineOptions } from "../../src/control/engine.ts";
import { type Daemon, startDaemon } from "../../src/daemon.ts";
import { FakeEngine } from "../helpers/fake-engine.ts";
import { inFolder } from "../helpers/temporary-folder.ts";

interface StartOptions {
  readonly flags?: ConfigFlags;
  readonly isTokenRenewed?: boolean;
  readonly onEngine?: (options: EngineOptions) => void;
}

const start = (folder: string, options: StartOptions = {}): Promise<Daemon> =>
  startDaemon({
    config: loadConfig({ data: folder, http: "127.0.0.1:0", name: "opi-a", ...options.flags }),
    logger: silentLogger,
    version: "0.0.0-test",
    isTokenRenewed: options.isTokenRenewed ?? false,
    openEngine: async (engineOptions) => {
      options.onEngine?.(engineOptions);
      return new FakeEngine();
    },
  });

const refusal = async (work: Promise<Daemon>): Promise<string> => {
  try {
    await (await work).close();
  } catch (error) {
    return error instanceof CodedError ? error.code : `uncoded ${String(error)}`;
  }
  return "started";
};

const system = async (daemon: Daemon, token: string) =>
  (await fetch(`${daemon.url}/api/v1/system`, { headers: { authorization: `Bearer ${token}` } }))
    .status;

const takePort = (): Promise<{ readonly server: Server; readonly port: number }> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve({ server, port: typeof address === "object" ? (address?.port ?? 0) : 0 });
    });
  });

const test = suite("daemon");

test(
  "the first start makes a token that later starts take, only its owner reads it",
  inFolder(async (folder) => {
    const first = await start(folder);
    const token = first.newToken ?? "";
    assert.is(readFileSync(first.tokenPath, "utf8"), `${token}\n`);
    assert.is(statSync(first.tokenPath).mode & 0o777, 0o600);
    assert.is(await system(first, token), 200);
    await first.close();
    const second = await start(folder);
    assert.is(second.newToken, null);
    assert.is(await system(second, token), 200);
    await second.close();
    const third = await start(folder, { isTokenRenewed: true });
    assert.is(await system(third, token), 401);
    assert.is(await system(third, third.newToken ?? ""), 200);
    await third.close();
  }),
);

test(
  "tells in its data directory where it is, until it has ended",
  inFolder(async (folder) => {
    const daemon = await start(folder);
    const file = join(folder, "daemon.json");
    const told = JSON.parse(readFileSync(file, "utf8"));
    assert.equal([told.url, told.pid], [daemon.url, process.pid]);
    await daemon.close();
    assert.is(existsSync(file), false);
    await daemon.close();
  }),
);

test(
  "gives the engine what is configured",
  inFolder(async (folder) => {
    let seen: EngineOptions | undefined;
    const flags = { nbd: "127.0.0.1:7", nbdSocket: join(folder, "s"), lab: true, workers: "3" };
    const daemon = await start(folder, {
      flags,
      onEngine: (options) => {
        seen = options;
      },
    });
    const { logger: _logger, onStoreSeen: _seen, ...options } = seen as EngineOptions;
    assert.equal(options, {
      nbdTcp: { host: "127.0.0.1", port: 7 },
      nbdSocketPath: join(folder, "s"),
      tls: null,
      comingExports: [],
      ioWorkers: 3,
      answerLimitMs: 30_000,
      syncSpeed: { min: 1_024_000, max: 17_179_869_184 },
      linkShare: 0.7,
      isDirect: false,
      cluster: null,
      labMode: true,
      nodeName: "opi-a",
      version: "0.0.0-test",
    });
    await daemon.close();
  }),
);

test(
  "remembers how the cluster's store was seen, and refuses a record that it cannot understand",
  inFolder(async (folder) => {
    const flags = { cluster: "attic", etcd: "http://127.0.0.1:1", node: "n1" };
    const engines: EngineOptions[] = [];
    const open = () => start(folder, { flags, onEngine: (options) => void engines.push(options) });
    const first = await open();
    assert.equal(engines[0]?.cluster, {
      name: "attic",
      node: "n1",
      endpoints: ["http://127.0.0.1:1"],
      tls: null,
      seen: null,
      exporter: null,
    });
    engines[0]?.onStoreSeen({ clusterId: "7", revision: 41 });
    engines[0]?.onStoreSeen({ clusterId: "7", revision: 42 });
    await first.close();
    const second = await open();
    assert.equal(engines[1]?.cluster?.seen, { clusterId: "7", revision: 42 });
    await second.close();
    for (const text of ["", "{", '{"clusterId": "7"}', '{"clusterId": 7, "revision": 1}', "null"]) {
      writeFileSync(join(folder, "cluster-store.json"), text);
      assert.is(await refusal(open()), "CONFIG_STORE_UNREADABLE", text);
    }
  }),
);

test(
  "a second daemon on the same data directory is refused, the first goes on",
  inFolder(async (folder) => {
    const first = await start(folder);
    assert.is(await refusal(start(folder)), "STORE_IN_USE");
    assert.is(await system(first, first.newToken ?? ""), 200);
    await first.close();
  }),
);

for (const name of ["daemon.json", "token.new"]) {
  test(
    `a disk too full for ${name} refuses the start with a code and leaves no piece of it`,
    inFolder(async (folder) => {
      const file = join(folder, name);
      symlinkSync("/dev/full", file);
      assert.is(await refusal(start(folder)), "STORE_FULL");
      assert.is(lstatSync(file, { throwIfNoEntry: false }), undefined);
      const daemon = await start(folder);
      const token = readFileSync(daemon.tokenPath, "utf8").trim();
      assert.is(await system(daemon, token), 200);
      await daemon.close();
    }),
  );
}

test(
  "a port in use is refused by name, and the data directory is free again",
  inFolder(async (folder) => {
    const { server, port } = await takePort();
    const flags = { http: `127.0.0.1:${port}` };
    assert.is(await refusal(start(folder, { flags })), "API_ADDRESS_IN_USE");
    assert.is(
      await refusal(start(folder, { flags: { http: "192.0.2.1:0" } })),
      "API_ADDRESS_UNUSABLE",
    );
    server.close();
    assert.is(await refusal(start(folder)), "started");
  }),
);

test(
  "an engine that cannot open gives the data directory back",
  inFolder(async (folder) => {
    const onEngine = () => {
      throw new CodedError("NBD_ADDRESS_IN_USE", "port 10809 is in use");
    };
    assert.is(await refusal(start(folder, { onEngine })), "NBD_ADDRESS_IN_USE");
    assert.is(await refusal(start(folder)), "started");
  }),
);

test(
  "a damaged database, a directory that is a file, and missing certificates are refused",
  inFolder(async (folder) => {
    writeFileSync(join(folder, "satsuma.db"), Buffer.alloc(8192, 1));
    assert.is(await refusal(start(folder)), "STORE_CORRUPT");
    writeFileSync(join(folder, "file"), "");
    assert.is(await refusal(start(join(folder, "file"))), "STORE_NOT_WRITABLE");
    const config = join(folder, "satsuma.toml");
    writeFileSync(config, '[nbd]\ntls_certificate = "/nowhere/c"\ntls_key = "/nowhere/k"\n');
    const data = join(folder, "data");
    assert.is(await refusal(start(data, { flags: { config, data } })), "CONFIG_TLS_UNREADABLE");
  }),
);

test.run();
