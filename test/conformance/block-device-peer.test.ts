/** A peer's disk keeps the contract of the port: over our server with TLS, and over others'. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { hasTool, toolPath } from "../../scripts/test-tools.ts";
import { MONOTONIC_CLOCK } from "../../src/cluster/store/monotonic-clock-driver.ts";
import { PeerDevice } from "../../src/peers/peer-device.ts";
import { MemberServer } from "../helpers/member-server.ts";
import { MemoryBackend } from "../helpers/memory-backend.ts";
import { skipUnless } from "../helpers/skip.ts";
import { eventually } from "../helpers/timeout.ts";
import { blockDeviceSuite } from "./block-device.ts";
import type { DeviceFactory, DeviceSupport } from "./block-device-subject.ts";

const SIZE = 1024 * 1024;

const peerFactory =
  (pace: "at-once" | "soon"): DeviceFactory =>
  async () => {
    const backend = new MemoryBackend({ sizeBytes: SIZE, pace });
    const server = await MemberServer.start({ disks: { disk1: backend } });
    const device = await PeerDevice.open(server.ticket("disk1"), server.access(), "write");
    return {
      device,
      openReadOnly: () => PeerDevice.open(server.ticket("disk1"), server.access(), "read"),
      truncate: null,
      dispose: async () => {
        await device.close();
        await server.close();
      },
    };
  };

/** `args`: what serves `file` on the unix socket, in the foreground. */
const otherFactory =
  (command: string, args: (socket: string, file: string) => readonly string[]): DeviceFactory =>
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "peer-"));
    const [path, file] = [join(folder, "s"), join(folder, "disk.img")];
    writeFileSync(file, new Uint8Array(SIZE));
    const env = { ...process.env, PATH: toolPath() };
    const child = spawn(command, args(path, file), { stdio: "ignore", env });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const open = (mode: "read" | "write"): Promise<PeerDevice> =>
      PeerDevice.over({
        name: command,
        mode,
        sizeBytes: SIZE,
        logicalBlockSize: 512,
        target: () => ({ server: command, address: { path }, exportName: "", tls: null }),
        clock: MONOTONIC_CLOCK,
      });
    const device = await eventually(`${command} serves`, 30_000, () => open("write"));
    return {
      device,
      openReadOnly: () => open("read"),
      truncate: null,
      dispose: async () => {
        await device.close();
        child.kill();
        await ended;
        rmSync(folder, { recursive: true, force: true });
      },
    };
  };

const supports: DeviceSupport = { sync: false, punches: true };
blockDeviceSuite("a peer's disk over TLS", peerFactory("at-once"), supports).run();
blockDeviceSuite("a peer's disk over TLS, later", peerFactory("soon"), supports).run();

/** Without the tool the suite is skipped as a whole. */
const other = (
  command: string,
  args: (socket: string, file: string) => readonly string[],
): void => {
  const tested = blockDeviceSuite(`a disk of ${command}`, otherFactory(command, args), supports);
  if (hasTool(command)) return void tested.run();
  const skipped = suite(`conformance: block device: a disk of ${command}, skipped`);
  skipUnless(command, skipped)("a disk of it keeps the contract", () => undefined);
  skipped.run();
};
other("qemu-nbd", (socket, file) => [
  ...["--socket", socket, "--persistent", "--shared", "8", "--format", "raw"],
  ...["--discard", "unmap", file],
]);
other("nbdkit", (socket) => ["--foreground", "--unix", socket, "memory", String(SIZE)]);
