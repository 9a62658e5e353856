/**
 * The Debian tools that tests hold the project against: mdadm for metadata, QEMU, libnbd and nbdkit
 * for NBD, fio and e2fsprogs for content, etcd for clusters, Chromium for the panel. Missing ones
 * are installed when we may.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Command name to the Debian package that has it. Tests may use only these. */
export const TEST_TOOLS: Readonly<Record<string, string>> = {
  mdadm: "mdadm",
  "qemu-img": "qemu-utils",
  "qemu-io": "qemu-utils",
  "qemu-nbd": "qemu-utils",
  "qemu-storage-daemon": "qemu-system-common",
  fio: "fio",
  nbdinfo: "libnbd-bin",
  nbdcopy: "libnbd-bin",
  nbdfuse: "libnbd-bin",
  nbdkit: "nbdkit",
  fusermount3: "fuse3",
  "mkfs.ext4": "e2fsprogs",
  e2fsck: "e2fsprogs",
  debugfs: "e2fsprogs",
  openssl: "openssl",
  xz: "xz-utils",
  etcd: "etcd-server",
  faketime: "faketime",
  ip: "iproute2",
  tc: "iproute2",
  chromium: "chromium",
  "linux.uml": "user-mode-linux",
  losetup: "mount",
  fstrim: "util-linux",
  setpriv: "util-linux",
  ...(readFileSync("/proc/cpuinfo", "latin1").includes(" amx_tile") ? { cc: "gcc" } : {}),
};

const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
const INSTALL_TIMEOUT_MS = 15 * 60 * 1000;

/** PATH with the folders of system tools, which an ordinary user's PATH lacks on Debian. */
export function toolPath(): string {
  const given = (process.env["PATH"] ?? "").split(delimiter);
  return [...new Set([...given, ...SYSTEM_FOLDERS])].join(delimiter);
}

/** True when the command can be run from `toolPath()`. */
export function hasTool(command: string): boolean {
  return toolPath()
    .split(delimiter)
    .some((folder) => isExecutable(join(folder, command)));
}

/** Commands of TEST_TOOLS that this machine lacks. */
export function missingTools(): string[] {
  return Object.keys(TEST_TOOLS).filter((command) => !hasTool(command));
}

/**
 * Installs the packages of missing tools with apt-get, as root or through sudo without a password.
 * Returns what is still missing; never fails.
 */
export function installMissingTools(say: (text: string) => void): string[] {
  const missing = missingTools();
  const prefix = installerPrefix();
  if (missing.length === 0 || prefix === undefined) return missing;
  const packages = [...new Set(missing.map((command) => TEST_TOOLS[command] ?? command))];
  say(`installing test tools: ${packages.join(" ")}`);
  aptGet(prefix, ["update"]);
  // One package that the release does not have must not keep the others away.
  if (!aptGet(prefix, ["install", ...packages])) {
    for (const name of packages) aptGet(prefix, ["install", name]);
  }
  return missingTools();
}

/** How to call apt-get here: directly, through sudo, or not at all. */
function installerPrefix(): string[] | undefined {
  if (!hasTool("apt-get")) return undefined;
  if (process.getuid?.() === 0) return [];
  const sudo = spawnSync("sudo", ["-n", "true"], { stdio: "ignore" });
  return sudo.status === 0 ? ["sudo", "-n"] : undefined;
}

function aptGet(prefix: readonly string[], args: readonly string[]): boolean {
  const options = ["-qq", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
  const [command = "apt-get", ...rest] = [
    ...prefix,
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    ...options,
    ...args,
  ];
  const result = spawnSync(command, rest, { stdio: "ignore", timeout: INSTALL_TIMEOUT_MS });
  return result.status === 0;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
