/** The configuration: what wins over what, what is refused, and that the refusal names the key. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../src/common/errors.ts";
import {
  type Config,
  type ConfigFlags,
  loadConfig,
  SOCKET_PATH_BYTES_MAX,
} from "../../src/config.ts";
import { parseAddress } from "../../src/config-values.ts";
import { inFolder } from "../helpers/temporary-folder.ts";

/** The configuration of a file's text and flags. */
function load(folder: string, text: string, flags: ConfigFlags = {}): Config {
  const config = join(folder, "satsuma.toml");
  writeFileSync(config, text);
  return loadConfig({ config, data: folder, ...flags });
}

const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof CodedError ? `${error.code} ${error.advice}` : `uncoded ${error}`;
  }
  return "accepted";
};

const test = suite("config");

test("binds to loopback and keeps everything in the data directory by default", () => {
  const config = loadConfig({ data: "/srv/satsuma", name: "opi-a" });
  assert.equal(
    { ...config, ioWorkers: 0 },
    {
      dataDirectory: "/srv/satsuma",
      nodeName: "opi-a",
      isLabMode: false,
      http: { host: "127.0.0.1", port: 8090 },
      nbdTcp: { host: "127.0.0.1", port: 10809 },
      nbdSocketPath: "/srv/satsuma/nbd.sock",
      nbdTls: null,
      ioWorkers: 0,
      devicesDirectory: "/srv/satsuma/disks",
      devicePaths: [],
      answerLimitMs: 30_000,
      isDirect: false,
      cluster: null,
      life: { host: null, isDiscovered: false, fsyncLimitMs: 50 },
      startWaitMs: 30_000,
      syncSpeed: { min: 1_024_000, max: 17_179_869_184 },
      linkShare: 0.7,
      logLevel: "info",
    },
  );
  assert.ok(config.ioWorkers >= 1 && config.ioWorkers <= 4);
  assert.ok(Object.isFrozen(config));
});

test(
  "flags win over the file, the file over defaults",
  inFolder(async (folder) => {
    const text = `
name = "opi-b"
lab = true
[http]
listen = "0.0.0.0:80"
[nbd]
listen = "[::1]:1"
socket = "/run/s.sock"
workers = 3
tls_certificate = "/etc/c.pem"
tls_key = "/etc/k.pem"
[devices]
paths = ["/dev/sda", "/dev/sdb"]
directory = "/srv/disks"
answer_limit = 0
direct = true
[cluster]
name = "attic"
etcd = ["http://10.0.0.1:2379", "http://10.0.0.2:2379/"]
host = "192.0.2.7"
discovery = false
fsync_limit = 20
[sync]
speed_min = 2048
speed_max = 2048
link_share = 0.5
[log]
level = "debug"
`;
    const fromFile = load(folder, text);
    assert.equal(
      { ...fromFile, dataDirectory: "" },
      {
        dataDirectory: "",
        nodeName: "opi-b",
        isLabMode: true,
        http: { host: "0.0.0.0", port: 80 },
        nbdTcp: { host: "::1", port: 1 },
        nbdSocketPath: "/run/s.sock",
        nbdTls: { certificate: "/etc/c.pem", key: "/etc/k.pem", clientAuthority: null },
        ioWorkers: 3,
        devicesDirectory: "/srv/disks",
        devicePaths: ["/dev/sda", "/dev/sdb"],
        answerLimitMs: null,
        isDirect: true,
        cluster: {
          name: "attic",
          node: "opi-b",
          endpoints: ["http://10.0.0.1:2379", "http://10.0.0.2:2379"],
          tls: null,
          exporter: null,
        },
        life: { host: "192.0.2.7", isDiscovered: false, fsyncLimitMs: 20 },
        startWaitMs: 30_000,
        syncSpeed: { min: 2048, max: 2048 },
        linkShare: 0.5,
        logLevel: "debug",
      },
    );
    const flags = { http: "127.0.0.1:9", nbd: "", nbdSocket: "", name: "x", workers: "2" };
    const both = load(folder, text, flags);
    assert.equal(
      [both.http.port, both.nbdTcp, both.nbdSocketPath, both.nodeName, both.ioWorkers],
      [9, null, null, "x", 2],
    );
    const cluster = { cluster: "shed", etcd: "https://h:1,https://[::1]:2", node: "n2" };
    assert.equal(load(folder, text, cluster).cluster, {
      name: "shed",
      node: "n2",
      endpoints: ["https://h:1", "https://[::1]:2"],
      tls: null,
      exporter: null,
    });
  }),
);

test(
  "an upper limit of syncs below the usual lower one is both",
  inFolder(async (folder) => {
    const { syncSpeed } = load(folder, "[sync]\nspeed_max = 65536");
    assert.equal(syncSpeed, { min: 65_536, max: 65_536 });
  }),
);

test(
  "a board shows etcd its certificate",
  inFolder(async (folder) => {
    const text = `
[cluster]
name = "attic"
etcd = ["https://h:2379"]
tls_authority = "/etc/ca.pem"
tls_certificate = "/etc/c.pem"
tls_key = "/etc/k.pem"
`;
    assert.equal(load(folder, text).cluster?.tls, {
      authority: "/etc/ca.pem",
      certificate: "/etc/c.pem",
      key: "/etc/k.pem",
    });
  }),
);

const TLS = 'tls_authority="/a"\ntls_certificate="/c"\ntls_key="/k"\n';
const FILES = { authority: "/a", certificate: "/c", key: "/k" };

test(
  "a board serves its disks to its peers, through the page cache, with the certificate for etcd",
  inFolder(async (folder) => {
    const cluster = `[cluster]\nname="a"\n${TLS}member_listen="0.0.0.0:10810"\nmember_advertise="b1"\n`;
    const text = `${cluster}etcd=["https://h:1"]\n[devices]\ndirect=true`;
    const config = load(folder, text);
    const listen = { host: "0.0.0.0", port: 10810 };
    assert.equal(config.cluster?.exporter, { listen, advertise: "b1", tls: FILES });
    assert.equal([config.cluster?.tls, config.isDirect], [FILES, false]);
  }),
);

test(
  "an etcd on loopback may do without certificates where they are the peers'",
  inFolder(async (folder) => {
    const text = `[cluster]\nname="a"\n${TLS}member_listen="10.0.0.1:1"\n`;
    const { cluster } = load(folder, `${text}etcd=["http://127.0.0.1:2379", "http://[::1]:2379"]`);
    assert.equal([cluster?.tls, cluster?.exporter?.tls], [null, FILES]);
    assert.throws(
      () => load(folder, `${text}etcd=["http://10.0.0.1:2379"]`),
      /must be an https URL/,
    );
  }),
);

const REFUSED: readonly (readonly [string, string])[] = [
  ['nmae = "x"', "CONFIG_UNKNOWN_KEY there is no key nmae; did you mean name?"],
  ['foo = "x"', "there is no key foo; docs/configuration.md lists every key"],
  ['[http]\nlisten_on = "x"', "there is no key http.listen_on; did you mean http.listen?"],
  ["[ndb]\nworkers = 1", "CONFIG_UNKNOWN_KEY there is no key ndb"],
  ["[nbd.tls]\nkey = 1", "CONFIG_UNKNOWN_KEY there is no key nbd.tls"],
  ["name = 5", "CONFIG_INVALID_VALUE name = 5 must be a string"],
  ['name = "a b"', "CONFIG_INVALID_VALUE name"],
  ['lab = "yes"', "CONFIG_INVALID_VALUE lab"],
  ["[nbd]\nworkers = 0", "must be a whole number from 1 to 16"],
  ["[nbd]\nworkers = 65", "CONFIG_INVALID_VALUE nbd.workers"],
  ["[nbd]\nworkers = 1.5", "CONFIG_INVALID_VALUE nbd.workers"],
  ['[http]\nlisten = "nowhere"', "CONFIG_INVALID_VALUE http.listen"],
  ['[http]\nlisten = "h:65536"', "CONFIG_INVALID_VALUE http.listen"],
  ['[devices]\npaths = "/dev/sda"', "must be an array of strings"],
  ["[devices]\npaths = [1]", "CONFIG_INVALID_VALUE devices.paths"],
  ['[log]\nlevel = "loud"', "must be one of debug, info, warn, error"],
  ['[nbd]\ntls_key = "/k"', "and nbd.tls_key belong together"],
  [`[nbd]\nsocket = "/${"s".repeat(SOCKET_PATH_BYTES_MAX)}"`, "108 bytes, at most 107 fit"],
  ['[cluster]\nname = "attic"', "cluster.etcd = [] must name a member of etcd"],
  ['[cluster]\netcd = ["http://h:1"]', "CONFIG_INVALID_VALUE cluster.name"],
  ['[cluster]\nname = "a b"\netcd = ["http://h:1"]', "CONFIG_INVALID_VALUE cluster.name"],
  ['[cluster]\nname = "a"\netcd = ["h:1"]', "must be URLs like http://HOST:2379"],
  ['[cluster]\nname = "a"\netcd = ["http://h:1/v3"]', "must be URLs like http://HOST:2379"],
  ['[cluster]\nname = "a"\netcd = ["http://h:1"]\ntls_key = "/k"', "needs tls_certificate and tls"],
  [
    '[cluster]\nname="a"\netcd=["http://h:1"]\ntls_authority="/a"\ntls_certificate="/c"\ntls_key="/k"',
    "must be an https URL",
  ],
  ['[cluster]\nname="a"\netcd=["http://h:1"]\nmember_listen="h:1"', "needs the keys tls_*"],
  ['[cluster]\nname="a"\netcd=["http://h:1"]\nmember_advertise="h"', "needs member_listen"],
  [
    `[cluster]\nname="a"\netcd=["https://h:1"]\n${TLS}member_listen="0.0.0.0:1"`,
    "needs member_advertise",
  ],
  ["[sync]\nspeed_max = 1023", "sync.speed_max = 1023 must be bytes per second from 1024 to 2^40"],
  ["[sync]\nlink_share = 1.5", "sync.link_share = 1.5 must be a number from 0.05 to 1"],
  ["[sync]\nlink_share = 0", "sync.link_share = 0 must be a number from 0.05 to 1"],
  ["[sync]\nspeed_min = 1.5e3\nspeed_max = 1024", "must be at most sync.speed_max, 1024"],
  ["name = ", "CONFIG_SYNTAX"],
  ['name = "a"\nname = "b"', "CONFIG_SYNTAX"],
];

for (const [text, expected] of REFUSED) {
  test(
    `refuses ${JSON.stringify(text.slice(0, 40))}`,
    inFolder(async (folder) => {
      const told = refusal(() => load(folder, text));
      assert.ok(told.includes(expected), told);
    }),
  );
}

test("refuses a missing file and a missing data directory", () => {
  assert.match(
    refusal(() => loadConfig({ data: "/d", config: "/nowhere.toml" })),
    "CONFIG_UNREADABLE /nowhere.toml",
  );
  assert.match(
    refusal(() => loadConfig({})),
    "CONFIG_DATA_MISSING",
  );
});

test("reads addresses with a host, without one, and of IPv6", () => {
  const read = (text: string) => Object.values(parseAddress("k", text, "127.0.0.1"));
  assert.equal(read("10.0.0.1:80"), ["10.0.0.1", 80]);
  assert.equal(read("80"), ["127.0.0.1", 80]);
  assert.equal(read("[::1]:0"), ["::1", 0]);
  for (const text of ["", ":", ":80", "::1:80", "a b:80", "h:-1", "h:8x", "[::1]"]) {
    assert.match(
      refusal(() => read(text)),
      "CONFIG_INVALID_VALUE",
      text,
    );
  }
});

test.run();
