/**
 * The real clients against the server over memory: libnbd's tools, QEMU's and fio. The same clients
 * run against whole boards elsewhere; here only the protocol can be at fault.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCommand, tryCommand } from "../../helpers/command.ts";
import {
  type NbdFixture,
  type NbdFixtureOptions,
  withNbdServer,
} from "../../helpers/nbd-fixture.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("nbd: real clients");
const libnbdTest = skipUnless(["nbdinfo", "nbdcopy"], test);
const qemuTest = skipUnless(["qemu-img", "qemu-io"], test);
const fioTest = skipUnless(["fio"], test);

const MIB = 2 ** 20;
const SIZE = 32 * MIB;

/** Runs `body` against a back end that completes at once and against one that completes later. */
function inBothPaces(
  options: NbdFixtureOptions,
  body: (fixture: NbdFixture) => Promise<void>,
): () => Promise<void> {
  return async () => {
    for (const pace of ["at-once", "soon"] as const) {
      const backend = { sizeBytes: SIZE, ...options.backend, pace };
      await withNbdServer({ ...options, backend }, body)();
    }
  };
}

/** Content with data here and there, and zeroes between. */
function patchyContent(): Uint8Array {
  const content = new Uint8Array(SIZE);
  for (const [start, length] of [
    [0, 4096],
    [MIB + 512, 700_001],
    [9 * MIB, 3 * MIB],
    [SIZE - 1000, 1000],
  ] as const) {
    for (let at = start; at < start + length; at += 1) content[at] = (at * 7919) >> 7;
  }
  return content;
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** The extents that `nbdinfo --map` prints. */
async function mapOf(uri: string, context: string): Promise<Record<string, unknown>[]> {
  const { stdout } = await runCommand("nbdinfo", [`--map=${context}`, "--json", uri]);
  return JSON.parse(stdout) as Record<string, unknown>[];
}

libnbdTest(
  "nbdinfo shows the export, its flags, sizes and contexts",
  inBothPaces({ entry: { description: "the array" } }, async ({ uri }) => {
    const { stdout } = await runCommand("nbdinfo", ["--json", uri]);
    const { exports, ...session } = JSON.parse(stdout) as { exports: object[] };
    assert.equal(session, { protocol: "newstyle-fixed", TLS: false, structured: true });
    const [{ content: _, ...shown }] = exports as [Record<string, unknown>];
    assert.equal(shown, {
      "export-name": "md0",
      description: "the array",
      uri,
      contexts: ["base:allocation", "satsuma:dirty"],
      is_rotational: false,
      is_read_only: false,
      can_cache: true,
      can_df: true,
      can_fast_zero: true,
      can_flush: true,
      can_fua: true,
      can_multi_conn: true,
      can_trim: true,
      can_zero: true,
      block_size_minimum: 1,
      block_size_preferred: 4096,
      block_size_maximum: 32 * MIB,
      "export-size": SIZE,
      "export-size-str": "32M",
    });
  }),
);

libnbdTest(
  "nbdinfo lists exports and sees a read-only one as such",
  withNbdServer({ backend: { readOnly: true } }, async ({ uri, path }) => {
    const all = await runCommand("nbdinfo", ["--list", `nbd+unix:///?socket=${path}`]);
    assert.match(all.stdout, 'export="md0"');
    const one = await runCommand("nbdinfo", ["--json", uri]);
    const [entry] = (JSON.parse(one.stdout) as { exports: Record<string, unknown>[] }).exports;
    assert.is(entry?.["is_read_only"], true);
    assert.is(entry?.["can_trim"], false);
  }),
);

libnbdTest(
  "nbdinfo maps allocation and dirty extents",
  inBothPaces({}, async ({ uri, backend }) => {
    backend.setPace("at-once");
    backend.write([new Uint8Array(8192).fill(1)], MIB, false, () => undefined);
    const rows = [
      ["base:allocation", 3, 0],
      ["satsuma:dirty", 0, 1],
    ] as const;
    for (const [context, clean, written] of rows) {
      const extents = (await mapOf(uri, context)).map(({ offset, length, type }) => {
        return [offset, length, type];
      });
      assert.equal(extents, [
        [0, MIB, clean],
        [MIB, 8192, written],
        [MIB + 8192, SIZE - MIB - 8192, clean],
      ]);
    }
  }),
);

libnbdTest(
  "nbdcopy carries content in and out",
  inBothPaces({}, async ({ uri, folder, backend }) => {
    const [source, copy] = [join(folder, "source"), join(folder, "copy")];
    const content = patchyContent();
    writeFileSync(source, content);
    await runCommand("nbdcopy", [source, uri]);
    assert.ok(sameBytes(backend.content, content));
    await runCommand("nbdcopy", [uri, copy]);
    assert.ok(sameBytes(readFileSync(copy), content));
    await runCommand("nbdcopy", ["--destination-is-zero", "--request-size=2097152", uri, copy]);
    assert.ok(sameBytes(readFileSync(copy), content));
  }),
);

libnbdTest(
  "libnbd takes the error of a flush as one, and stays connected",
  inBothPaces(
    { backend: { fault: (call) => (call === "flush" ? 5 : 0) } },
    async ({ uri, folder }) => {
      const source = join(folder, "source");
      writeFileSync(source, patchyContent());
      const { ending, stderr } = await tryCommand("nbdcopy", ["--flush", source, uri]);
      assert.is.not(ending, "0");
      assert.match(stderr, /flush.*(Input\/output error|EIO)/);
    },
  ),
);

qemuTest(
  "qemu-img shows, fills, compares and maps the export",
  inBothPaces({}, async ({ uri, folder, backend }) => {
    const source = join(folder, "source");
    const content = patchyContent();
    writeFileSync(source, content);
    const { stdout } = await runCommand("qemu-img", ["info", "--output=json", "-f", "raw", uri]);
    assert.is((JSON.parse(stdout) as { "virtual-size": number })["virtual-size"], SIZE);
    await runCommand("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", source, uri]);
    assert.ok(sameBytes(backend.content, content));
    await runCommand("qemu-img", ["compare", "-f", "raw", "-F", "raw", source, uri]);
    const mapped = await runCommand("qemu-img", ["map", "--output=json", "-f", "raw", uri]);
    const extents = JSON.parse(mapped.stdout) as { start: number; length: number; zero: boolean }[];
    assert.is(
      extents.reduce((sum, extent) => sum + extent.length, 0),
      SIZE,
    );
    for (const { start, length, zero } of extents.filter((extent) => extent.zero)) {
      assert.ok(zero && content.subarray(start, start + length).every((byte) => byte === 0));
    }
    const copy = join(folder, "copy");
    await runCommand("qemu-img", ["convert", "-f", "raw", "-O", "raw", uri, copy]);
    assert.ok(sameBytes(readFileSync(copy), content));
  }),
);

qemuTest(
  "qemu-io writes, reads back, discards and zeroes, and its flags reach the back end",
  inBothPaces({}, async ({ uri, backend }) => {
    const commands = [
      "write -P 0xab 4096 65536",
      "write -f -P 0xcd 1048576 512",
      "read -P 0xab 4096 65536",
      "read -P 0xcd 1048576 512",
      "write -z 8192 4096",
      "write -z -u 16384 4096",
      "write -z -f 24576 4096",
      "write -z -n -u 28672 4096",
      "read -P 0 8192 4096",
      "read -P 0 16384 4096",
      "read -P 0 24576 4096",
      "read -P 0 28672 4096",
      "read -P 0xab 12288 4096",
      "discard 2097152 65536",
      "flush",
      "read -P 0xab 4096 4096",
    ];
    const args = commands.flatMap((command) => ["-c", command]);
    const { stdout } = await runCommand("qemu-io", ["-t", "writeback", "-f", "raw", ...args, uri]);
    assert.not.match(stdout, /failed|error/i);
    for (const call of [
      "write 1048576+512 fua",
      "zeroes 8192+4096",
      "zeroes 16384+4096 punch",
      "zeroes 24576+4096 fua",
      "zeroes 28672+4096 punch",
      "trim 2097152+65536",
    ]) {
      assert.ok(backend.calls.includes(call), `${call} of ${backend.calls.join(", ")}`);
    }
    assert.ok(backend.calls.some((call) => call.startsWith("flush")));
  }),
);

qemuTest(
  "qemu-io reports a failing read as such and goes on",
  withNbdServer(
    { backend: { fault: (call, offset) => (call === "read" && offset === 4096 ? 5 : 0) } },
    async ({ uri }) => {
      const args = ["-f", "raw", "-c", "read 4096 512", "-c", "read 8192 512", uri];
      const { stdout, ending } = await tryCommand("qemu-io", args);
      assert.is(ending, "1");
      assert.match(stdout, "read failed: Input/output error");
      assert.match(stdout, "read 512/512 bytes at offset 8192");
    },
  ),
);

fioTest(
  "fio verifies random writes of four jobs, with trims beside",
  inBothPaces({}, async ({ uri, folder, server }) => {
    const common = ["--ioengine=nbd", `--uri=${uri}`, "--thread", "--output-format=terse"];
    await runCommand("fio", [
      ...common,
      ...["--name=verified", "--rw=randrw", "--bs=4k,4k", "--iodepth=16", "--numjobs=4"],
      ...[
        "--size=6m",
        "--offset_increment=6m",
        "--verify=crc32c",
        "--verify_state_save=0",
        "--verify_state_save=0",
        "--verify_fatal=1",
      ],
      ...["--verify_state_save=0", "--fsync=64", `--aux-path=${folder}`, "--do_verify=1"],
    ]);
    await runCommand("fio", [
      ...common,
      ...["--name=trimmed", "--rw=randtrim", "--bs=64k", "--iodepth=4", "--offset=24m"],
      ...["--size=8m", `--aux-path=${folder}`],
    ]);
    const { nbdRequests } = server.counters();
    assert.ok((nbdRequests["trim:0"] ?? 0) > 0);
    assert.ok(Object.keys(nbdRequests).every((key) => key.endsWith(":0")));
  }),
);

test.run();
