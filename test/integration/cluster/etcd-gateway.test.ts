/** Servers that are silent, lie, or are no etcd, and one that wants certificates. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EtcdHttp } from "../../../src/cluster/store/etcd-http-client.ts";
import { openEtcd } from "../../../src/cluster/store/etcd-start-client.ts";
import { EtcdStore } from "../../../src/cluster/store/etcd-store-client.ts";
import { createBoardCertificate, createClusterCa } from "../../../src/life/certificates.ts";
import { codeOf, Hints, put, write } from "../../conformance/cluster-store-subject.ts";
import { EtcdCluster } from "../../helpers/etcd-process.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const test = suite("etcd's gateway");

type Answer = (path: string, response: ServerResponse) => void;

/** A server that answers as it likes; `asked` has the paths. */
const serve = async (answer: Answer) => {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    asked.push(request.url ?? "");
    request.resume();
    answer(request.url ?? "", response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return { url: `http://127.0.0.1:${port}`, asked, close };
};

const header = { cluster_id: "7", revision: "5" };
const json = (response: ServerResponse, body: unknown): void => {
  response.end(JSON.stringify(body));
};
const TXN = { compares: [], success: [put("k", "1")], failure: [] };
/** Long enough for a request to be seen on a busy machine. */
const SHORT_MS = 1000;

test(
  "that is silent: the outcome is unknown, nothing is sent twice, the next one is asked next",
  withTimeout(20_000, async () => {
    const silent = await serve(() => {});
    const good = await serve((_path, response) =>
      json(response, { header, succeeded: true, responses: [{ response_put: {} }] }),
    );
    const endpoints = [silent.url, good.url];
    const store = new EtcdStore({ endpoints, requestTimeoutMs: SHORT_MS });
    const first = await store.txn(TXN);
    assert.is(first.type === "unknown" && first.error.code, "CLUSTER_STORE_UNREACHABLE");
    assert.equal([silent.asked.length, good.asked.length], [1, 0]);
    assert.is((await store.txn(TXN)).type, "committed");
    assert.equal([silent.asked.length, good.asked.length], [1, 1]);
    await store.close();
    await Promise.all([silent.close(), good.close()]);
  }),
);

test(
  "that is not there: nothing was done for sure, and the next one is asked at once",
  withTimeout(20_000, async () => {
    const gone = await serve(() => {});
    await gone.close();
    const good = await serve((_path, response) =>
      json(response, { header, succeeded: true, responses: [{ response_put: {} }] }),
    );
    const store = new EtcdStore({ endpoints: [gone.url, good.url] });
    assert.is((await store.txn(TXN)).type, "committed");
    await store.close();
    const nobody = new EtcdStore({ endpoints: [gone.url] });
    assert.is(await codeOf(() => nobody.txn(TXN)), "CLUSTER_STORE_UNREACHABLE");
    await nobody.close();
    await good.close();
  }),
);

test(
  "that drops guards is not used",
  withTimeout(20_000, async () => {
    const lying = await serve((path, response) => {
      if (path === "/version") json(response, { etcdserver: "3.6.9", etcdcluster: "3.6.0" });
      else json(response, { header, succeeded: true, responses: [{ response_put: {} }] });
    });
    const open = () => openEtcd({ endpoints: [lying.url] }, "p/");
    assert.is(await codeOf(open), "CLUSTER_STORE_UNGUARDED");
    await lying.close();
  }),
);

test(
  "of a version that loses data is not used, though another member is newer",
  withTimeout(20_000, async () => {
    const [good, bad] = await Promise.all(
      ["3.6.9", "3.5.1"].map((etcdserver) =>
        serve((_path, response) => json(response, { etcdserver })),
      ),
    );
    const endpoints = [good?.url ?? "", bad?.url ?? ""];
    assert.is(await codeOf(() => openEtcd({ endpoints }, "p/")), "CLUSTER_STORE_BAD_VERSION");
    assert.equal(good?.asked, ["/version"]);
    await Promise.all([good?.close(), bad?.close()]);
  }),
);

test(
  "that answers something else decides nothing",
  withTimeout(20_000, async () => {
    const bodies = ["<html>", "[]", "{}", '{"header":{}}', "x".repeat(17 * 1024 * 1024)];
    for (const body of bodies) {
      const other = await serve((_path, response) => response.end(body));
      const store = new EtcdStore({ endpoints: [other.url] });
      const outcome = await store.txn(TXN);
      assert.is(outcome.type === "unknown" && outcome.error.code, "CLUSTER_STORE_BAD_ANSWER");
      const code = await codeOf(() => store.list("p/"));
      assert.is(code, "CLUSTER_STORE_BAD_ANSWER", body.slice(0, 20));
      const hints = new Hints();
      store.watch("p/", 1, hints.listener);
      await hints.until(({ ended }) => ended !== null);
      assert.equal(hints.changes, []);
      await store.close();
      await other.close();
    }
  }),
);

/** A CA and one certificate of it, for servers and clients, on loopback. */
const makeCertificates = (folder: string) => {
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...curve, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca");
  openssl("req", ...curve, "-keyout", "e.key", "-out", "e.csr", "-subj", "/CN=etcd");
  const usage = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n";
  writeFileSync(join(folder, "usage"), usage);
  const signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "usage"];
  openssl("x509", "-req", "-in", "e.csr", ...signed, "-out", "e.crt");
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  return { ca: read("ca.crt"), cert: read("e.crt"), key: read("e.key") };
};

skipUnless(["etcd", "openssl"], test)(
  "with certificates on both sides: requests and watches",
  inFolder(async (folder) => {
    const tls = makeCertificates(folder);
    const files = ["ca.crt", "e.crt", "e.key"].map((name) => join(folder, name));
    const etcd = await EtcdCluster.start(1, files as [string, string, string]);
    try {
      const { store } = await openEtcd({ endpoints: etcd.endpoints, tls }, "p/");
      const from = await write(store, put("p/a", "1"));
      const hints = new Hints();
      store.watch("p/", from, hints.listener);
      await hints.until(({ changes }) => changes.length === 1);
      await store.close();
      const { ca } = tls;
      const plain = new EtcdStore({ endpoints: etcd.endpoints, tls: { ca, cert: "", key: "" } });
      assert.not.equal(await codeOf(() => plain.list("p/")), "no error");
      await plain.close();
    } finally {
      await etcd.stop();
    }
  }),
);

test(
  "whose handshakes take longer than a request may is asked over a connection made meanwhile",
  withTimeout(30_000, async () => {
    const ca = await createClusterCa("t");
    const { cert, key } = await createBoardCertificate(ca, { name: "localhost", addresses: [] });
    const held: (() => void)[] = [];
    const SNICallback = (_name: string, done: (error: null) => void): void =>
      void held.push(() => done(null));
    const answer = (_request: IncomingMessage, response: ServerResponse): void =>
      json(response, { etcdserver: "3.5.16" });
    const server = createSecureServer({ cert, key, SNICallback }, answer);
    server.on("tlsClientError", () => undefined);
    server.listen(0, "localhost");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const http = new EtcdHttp({ ca: ca.cert, cert, key });
    const ask = () => http.ask(`https://localhost:${port}`, "/version", undefined, SHORT_MS);
    assert.is((await ask()).type, "not-sent");
    await eventually("another connection is made", 10_000, () => held.length === 2);
    for (const release of held) release();
    // No other handshake ever ends.
    await eventually("it is asked over that one", 10_000, async () => {
      return (await ask()).type === "answer";
    });
    http.close();
    server.closeAllConnections();
    server.close();
  }),
);

test.run();
