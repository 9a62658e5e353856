/** Certificates of a cluster, judged by openssl and by Node's own TLS. */

import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import tls from "node:tls";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  createBoardCertificate,
  createClusterCa,
  createKeyPair,
  createRefusedList,
  createRequest,
  fingerprintOf,
  issueCertificate,
  requestedKey,
} from "../../../src/life/certificates.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("certificates of a cluster");

const folder = mkdtempSync(path.join(tmpdir(), "certificates-"));
test.after(() => rmSync(folder, { recursive: true }));

const put = (name: string, content: string | Buffer): string => {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
};

const openssl = (...args: readonly string[]): string =>
  execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

const codeOf = async (asked: Promise<unknown>): Promise<string> => {
  try {
    await asked;
    return "no error";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

test("openssl takes a board's certificate as server and as client, by name and by address", async () => {
  const ca = await createClusterCa("attic");
  const board = await createBoardCertificate(ca, {
    name: "board-b",
    addresses: ["192.0.2.7", "fd00::7", "board-b.local"],
  });
  const caFile = put("ca.pem", ca.cert);
  const certFile = put("board.pem", board.cert);
  for (const purpose of ["sslserver", "sslclient"]) {
    const said = openssl(
      "verify",
      "-x509_strict",
      "-CAfile",
      caFile,
      "-purpose",
      purpose,
      certFile,
    );
    assert.match(said, /OK$/m);
  }
  // Boards that start without a network believe that it is 1970.
  for (const time of ["0", "86400", "253402300700"])
    assert.match(openssl("verify", "-attime", time, "-CAfile", caFile, certFile), /OK$/m);
  for (const name of ["board-b", "board-b.local"])
    openssl("verify", "-CAfile", caFile, "-verify_hostname", name, certFile);
  for (const address of ["192.0.2.7", "fd00::7"])
    openssl("verify", "-CAfile", caFile, "-verify_ip", address, certFile);
  assert.throws(() =>
    openssl("verify", "-CAfile", caFile, "-verify_hostname", "board-c", certFile),
  );
  assert.match(openssl("x509", "-in", certFile, "-noout", "-text"), /prime256v1[\s\S]*CA:FALSE/);
  assert.is(new X509Certificate(board.cert).subject, "CN=board-b");
});

test("a board's certificate cannot sign another one, nor can another CA", async () => {
  const ca = await createClusterCa("attic");
  const board = await createBoardCertificate(ca, { name: "a", addresses: [] });
  const forged = await createBoardCertificate(board, { name: "b", addresses: [] });
  const bundle = put("bundle.pem", board.cert);
  const forgedFile = put("forged.pem", forged.cert);
  const args = ["-CAfile", put("ca2.pem", ca.cert), "-untrusted", bundle, forgedFile];
  assert.throws(() => openssl("verify", ...args));
  const other = await createClusterCa("attic");
  const stranger = put(
    "stranger.pem",
    (await createBoardCertificate(other, { name: "a", addresses: [] })).cert,
  );
  assert.throws(() => openssl("verify", "-CAfile", put("ca3.pem", ca.cert), stranger));
});

test("the fingerprint is openssl's", async () => {
  const ca = await createClusterCa("attic");
  const said = openssl("x509", "-in", put("ca4.pem", ca.cert), "-noout", "-fingerprint", "-sha256");
  assert.is(said.trim().split("=")[1]?.replaceAll(":", "").toLowerCase(), fingerprintOf(ca.cert));
});

test("who asks for a certificate proves that it has the key", async () => {
  const ca = await createClusterCa("attic");
  const pair = createKeyPair();
  const request = await createRequest(pair, "board-b");
  openssl("req", "-in", put("request.pem", request), "-noout", "-verify");
  const cert = await issueCertificate(
    ca,
    { name: "x", addresses: [] },
    await requestedKey(request),
  );
  assert.ok(new X509Certificate(cert).checkPrivateKey(createPrivateKey(pair.key)));
  const bytes = Buffer.from(request.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  const broken = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  for (const text of [broken, "", "no request", pair.publicKey])
    assert.is(await codeOf(requestedKey(text)), "LIFE_BAD_REQUEST");
});

test("openssl refuses what is on the list of refused certificates, and only that", async () => {
  const ca = await createClusterCa("attic");
  const gone = await createBoardCertificate(ca, { name: "gone", addresses: [] });
  const here = await createBoardCertificate(ca, { name: "here", addresses: [] });
  const list = put(
    "list.der",
    await createRefusedList(ca, [new X509Certificate(gone.cert).serialNumber]),
  );
  const pem = path.join(folder, "list.pem");
  openssl("crl", "-inform", "DER", "-in", list, "-out", pem, "-CAfile", put("ca5.pem", ca.cert));
  const args = ["-crl_check", "-CRLfile", pem, "-CAfile", put("ca6.pem", ca.cert)];
  openssl("verify", ...args, put("here.pem", here.cert));
  assert.throws(() => openssl("verify", ...args, put("gone.pem", gone.cert)), /revoked/);
});

test(
  "two boards talk by mutual TLS, a stranger does not",
  withTimeout(10_000, async () => {
    const ca = await createClusterCa("attic");
    const server = await createBoardCertificate(ca, { name: "server", addresses: [] });
    const client = await createBoardCertificate(ca, { name: "client", addresses: [] });
    const names: unknown[] = [];
    const listener: Server = tls.createServer(
      { ...server, ca: ca.cert, requestCert: true, rejectUnauthorized: true },
      (socket) => {
        names.push(socket.getPeerCertificate().subject.CN);
        socket.end("welcome");
      },
    );
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    const options = { host: "127.0.0.1", port, ca: ca.cert, servername: "server" };
    const socket = tls.connect({ ...options, ...client });
    const [text] = await once(socket, "data");
    assert.is(String(text), "welcome");
    socket.destroy();
    const others = await createClusterCa("attic");
    const stranger = await createBoardCertificate(others, { name: "client", addresses: [] });
    const refused = tls.connect({ ...options, ...stranger });
    refused.on("error", () => undefined).resume();
    await once(refused, "close");
    assert.equal(names, ["client"]);
    listener.close();
  }),
);

test.run();
