/** NBD over TLS with certificates made here: real clients, and clients that cheat. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { listenNbd, type NbdServer } from "../../../src/nbd/server-driver.ts";
import type { NbdTls } from "../../../src/nbd/tls-upgrade-driver.ts";
import { runCommand, tryCommand } from "../../helpers/command.ts";
import { directoryOf, exportEntry, MemoryBackend } from "../../helpers/memory-backend.ts";
import { concat, exportRequestBytes, optionBytes, utf8 } from "../../helpers/nbd-messages.ts";
import { RawNbdClient } from "../../helpers/raw-nbd-client.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const test = suite("nbd: TLS");
const tlsTest = skipUnless(["openssl", "nbdinfo", "nbdcopy"], test);

const MIB = 2 ** 20;
const READ = 0;
const FLUSH = 3;
const NBD_OPT_LIST = 3;
const NBD_OPT_STARTTLS = 5;
const NBD_OPT_GO = 7;
const NBD_REP_ERR_TLS_REQD = 0x8000_0005;
const LIMIT_MS = 60_000;

/** An authority with one certificate for `localhost` as server and one for a client. */
async function makeCertificates(folder: string, name: string): Promise<string> {
  const to = join(folder, name);
  mkdirSync(to);
  const file = (end: string): string => join(to, end);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const request = ["req", "-x509", ...newKey, "-days", "2"];
  await runCommand("openssl", [
    ...request,
    ...["-keyout", file("ca-key.pem"), "-out", file("ca-cert.pem"), "-subj", `/CN=${name}`],
  ]);
  for (const kind of ["server", "client"]) {
    await runCommand("openssl", [
      ...request,
      ...["-CA", file("ca-cert.pem"), "-CAkey", file("ca-key.pem")],
      ...["-keyout", file(`${kind}-key.pem`), "-out", file(`${kind}-cert.pem`)],
      ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ]);
  }
  return to;
}

interface TlsFixture {
  readonly server: NbdServer;
  readonly backend: MemoryBackend;
  readonly port: number;
  readonly folder: string;
  /** Folder with the certificates that libnbd takes. */
  readonly certificates: string;
  readonly uri: string;
}

/** Serves `md0`, which needs TLS, and `open`, which does not. */
function withTlsServer(
  isMutual: boolean,
  body: (fixture: TlsFixture) => Promise<void>,
): () => Promise<void> {
  const run = inFolder(async (folder) => {
    const certificates = await makeCertificates(folder, "ca");
    const pem = (name: string): string => readFileSync(join(certificates, name), "utf8");
    const tls: NbdTls = {
      certificate: pem("server-cert.pem"),
      key: pem("server-key.pem"),
      clientAuthority: isMutual ? pem("ca-cert.pem") : null,
    };
    const backend = new MemoryBackend({ sizeBytes: 8 * MIB });
    const open = exportEntry(backend, { name: "open" });
    const directory = directoryOf([exportEntry(backend, { tlsRequired: true }), open]);
    const address = { host: "127.0.0.1", port: 0 };
    const server = await listenNbd(address, directory, { tls, limits: { handshakeMs: 2_000 } });
    const port = server.addresses[0]?.port ?? 0;
    const uri = `nbds://localhost:${port}/md0?tls-certificates=${certificates}`;
    try {
      await body({ server, backend, port, folder, certificates, uri });
    } finally {
      await server.close();
    }
  });
  return async () => withTimeout(LIMIT_MS, run)(undefined as never);
}

/** Ends the handshake of a client over TLS by hand: greets, upgrades, goes to `md0`. */
async function attachOverTls({ port, certificates }: TlsFixture): Promise<RawNbdClient> {
  const plain = await RawNbdClient.connect({ port });
  await plain.greet();
  assert.is((await plain.option(NBD_OPT_STARTTLS))[0]?.type, 1);
  plain.socket.removeAllListeners("data");
  const ca = readFileSync(join(certificates, "ca-cert.pem"));
  const secured = tlsConnect({ socket: plain.socket, ca, servername: "localhost" });
  await new Promise((resolve, reject) => {
    secured.once("secureConnect", resolve);
    secured.once("error", reject);
  });
  const client = new RawNbdClient(secured);
  const replies = await client.option(NBD_OPT_GO, exportRequestBytes("md0"));
  assert.is(replies.at(-1)?.type, 1);
  return client;
}

tlsTest(
  "nbdinfo attaches over TLS",
  withTlsServer(false, async ({ uri, server }) => {
    const { stdout } = await runCommand("nbdinfo", ["--json", uri]);
    const seen = JSON.parse(stdout) as { TLS: boolean; exports: { "export-size": number }[] };
    assert.is(seen.TLS, true);
    assert.is(seen.exports[0]?.["export-size"], 8 * MIB);
    await eventually("it is gone", 5_000, () => server.clients().length === 0);
  }),
);

tlsTest(
  "nbdcopy carries a whole export over TLS both ways",
  withTlsServer(true, async ({ uri, folder, backend }) => {
    const source = join(folder, "source");
    const copy = join(folder, "copy");
    const content = Uint8Array.from({ length: 8 * MIB }, (_, index) => (index * 7919) >> 5);
    writeFileSync(source, content);
    await runCommand("nbdcopy", [source, uri]);
    assert.is(Buffer.compare(backend.content, content), 0);
    await runCommand("nbdcopy", [uri, copy]);
    assert.is(Buffer.compare(readFileSync(copy), content), 0);
  }),
);

tlsTest(
  "an export that needs TLS is hidden and refused in the clear, others are served",
  withTlsServer(false, async ({ port }) => {
    const client = await RawNbdClient.connect({ port });
    await client.greet();
    const listed = await client.option(NBD_OPT_LIST);
    assert.is(listed.length, 2);
    const refused = await client.option(NBD_OPT_GO, exportRequestBytes("md0"));
    assert.is(refused[0]?.type, NBD_REP_ERR_TLS_REQD);
    assert.is((await client.option(NBD_OPT_GO, exportRequestBytes("open"))).at(-1)?.type, 1);
    assert.is((await client.ask({ command: FLUSH })).errno, 0);
    client.close();
    const plain = await tryCommand("nbdinfo", [`nbd://localhost:${port}/md0`]);
    assert.is.not(plain.ending, "0");
  }),
);

tlsTest(
  "a client of another authority, or without a certificate, is turned away",
  withTlsServer(true, async ({ port, folder, server }) => {
    const foreign = await makeCertificates(folder, "foreign");
    const mixed = await makeCertificates(folder, "mixed");
    // It trusts our authority but shows a certificate of its own.
    writeFileSync(join(mixed, "ca-cert.pem"), readFileSync(join(folder, "ca", "ca-cert.pem")));
    const bare = join(folder, "bare");
    mkdirSync(bare);
    writeFileSync(join(bare, "ca-cert.pem"), readFileSync(join(folder, "ca", "ca-cert.pem")));
    for (const certificates of [foreign, mixed, bare]) {
      const uri = `nbds://localhost:${port}/md0?tls-certificates=${certificates}`;
      assert.is.not((await tryCommand("nbdinfo", [uri])).ending, "0");
    }
    assert.is(server.clients().length, 0);
  }),
);

tlsTest(
  "bytes in the clear behind STARTTLS end the connection before TLS begins",
  withTlsServer(false, async ({ port, certificates }) => {
    const client = await RawNbdClient.connect({ port });
    await client.greet();
    const smuggled = optionBytes(NBD_OPT_GO, exportRequestBytes("md0"));
    client.send(concat(optionBytes(NBD_OPT_STARTTLS), smuggled));
    await client.read(20);
    client.socket.removeAllListeners("data");
    const ca = readFileSync(join(certificates, "ca-cert.pem"));
    const secured = tlsConnect({ socket: client.socket, ca, servername: "localhost" });
    const outcome = await new Promise((resolve) => {
      secured.once("secureConnect", () => resolve("secured"));
      secured.once("error", () => resolve("refused"));
    });
    secured.destroy();
    assert.is(outcome, "refused");
  }),
);

tlsTest(
  "garbage or silence instead of a TLS handshake ends the connection",
  withTlsServer(false, async ({ port, server }) => {
    for (const bytes of [utf8("this is no TLS handshake at all"), new Uint8Array(0)]) {
      const client = await RawNbdClient.connect({ port });
      await client.greet();
      await client.option(NBD_OPT_STARTTLS);
      client.send(bytes);
      await client.untilClosed();
      client.close();
    }
    assert.is(server.clients().length, 0);
  }),
);

tlsTest(
  "reads and writes of odd sizes pass through TLS records",
  withTlsServer(false, async (fixture) => {
    const client = await attachOverTls(fixture);
    assert.is(fixture.server.clients()[0]?.tls, true);
    for (const length of [1, 511, 16_385, 70_001, 1_000_003]) {
      const payload = Uint8Array.from({ length }, (_, index) => index * 31);
      const offset = length % 4099;
      assert.is((await client.ask({ command: 1, offset, payload, cookie: 1 })).errno, 0);
      client.request({ command: READ, offset, length, cookie: 2 });
      assert.equal(await client.simpleReply(), { errno: 0, cookie: 2 });
      assert.is(Buffer.compare(await client.read(length), payload), 0);
    }
    client.close();
    await eventually("it is gone", 5_000, () => fixture.server.clients().length === 0);
  }),
);

test.run();
