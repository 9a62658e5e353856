/**
 * A real Linux kernel for tests: Debian's user-mode-linux, a kernel that runs as an ordinary
 * process, with the host's own programs (mdadm, mkfs.ext4 ...) on the host's own read-only /. It
 * boots in about two seconds, sees image files as /dev/ubda, /dev/ubdb ..., runs one bash script
 * and is gone.
 *
 * Per run, supervise.sh owns the guest's processes and the time limit, and guest-init.sh is the
 * guest's first process. They meet in one temporary folder, which nothing outlives.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const KERNEL = "/usr/bin/linux.uml";
const MODULES = "/usr/lib/uml/modules";
const OUTPUT_LIMIT = 16 * 1024 * 1024;
const MAX_IMAGES = 16;
const ROOT = realpathSync(join(import.meta.dirname, "../.."));
const GUEST_ROOT = "/run/project";
const MD_MODULES = ["drivers/md/md-mod", "drivers/md/raid1", "drivers/md/raid10"];

export interface KernelRun {
  /** Paths of the image files, attached in this order; the guest finds the devices in `$DISKS`. */
  readonly images: readonly string[];
  /**
   * Bash, run as root with md, raid1 and raid10 loaded. `$OUT` is a folder whose files come back as
   * `files`; `crash [STATUS]` is a power cut; `wait_idle [md0]` waits for the end of a sync action.
   * The project's own folder is `$PROJECT`.
   */
  readonly script: string;
  /** More modules to load, in this order: `net/sched/sch_netem`. */
  readonly modules?: readonly string[];
  /** Variables the script sees. */
  readonly env?: Readonly<Record<string, string>>;
  /** Attach sparse copies and leave the images themselves alone. */
  readonly onCopies?: boolean;
  /** The guest is killed after this time. Default 120 s. */
  readonly timeoutMs?: number;
  readonly memoryMiB?: number;
}

export interface KernelResult {
  /** The script's exit status; 124 at the time limit; 125 when the kernel died or did not start. */
  readonly status: number;
  /** Standard output and error of the script. */
  readonly output: string;
  /** What kernel and init printed: for the reader of a failed test. */
  readonly console: string;
  /** The files the script left in `$OUT`, by name. */
  readonly files: ReadonlyMap<string, string>;
}

/** Why no guest kernel can run here, or undefined. The first call boots one to find out. */
export async function whyNoKernel(): Promise<string | undefined> {
  knownReason ??= findReason();
  return await knownReason;
}

let knownReason: Promise<string | undefined> | undefined;

async function findReason(): Promise<string | undefined> {
  if (process.arch !== "x64") return "Debian builds user-mode Linux for x86-64 only";
  if (!existsSync(KERNEL) || !existsSync(MODULES)) {
    return "no user-mode Linux kernel (apt-get install user-mode-linux)";
  }
  if (!existsSync("/usr/sbin/mdadm") && !existsSync("/sbin/mdadm")) {
    return "no mdadm (apt-get install mdadm)";
  }
  if (needsShim() && spawnSync("cc", ["--version"]).status !== 0) {
    return "user-mode Linux needs a C compiler on a host with AMX (apt-get install gcc)";
  }
  const probe = await runInKernel({ images: [], script: "true", timeoutMs: 120_000 });
  if (probe.status === 0) return undefined;
  const lastLines = probe.console.trim().split("\n").slice(-3).join(" | ");
  return `user-mode Linux does not start here (status ${probe.status}): ${lastLines}`;
}

/** Where the guest finds a file: the project may lie in a folder that it has of its own. */
export function pathInGuest(path: string): string {
  return path.startsWith(`${ROOT}/`) ? GUEST_ROOT + path.slice(ROOT.length) : path;
}

/** Boots a kernel with the images, runs the script and returns what became of it. */
export async function runInKernel(run: KernelRun): Promise<KernelResult> {
  if (run.images.length > MAX_IMAGES) throw new RangeError(`at most ${MAX_IMAGES} images`);
  const folder = mkdtempSync(join(realpathSync(tmpdir()), "satsuma-lab-"));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", removeFolder);
  try {
    prepareFolder(folder, run);
    const { output, consoleText } = await superviseGuest(folder, run);
    const status = readGuestStatus(folder);
    return { status, output, console: consoleText, files: readFiles(join(folder, "out")) };
  } finally {
    process.off("exit", removeFolder);
    removeFolder();
  }
}

function prepareFolder(folder: string, run: KernelRun): void {
  mkdirSync(join(folder, "out"));
  const variables = Object.entries(run.env ?? {}).map(
    ([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'\n`,
  );
  writeFileSync(join(folder, "script"), `${variables.join("")}${run.script}\n`);
  copyFileSync(join(import.meta.dirname, "guest-init.sh"), join(folder, "init"));
  chmodSync(join(folder, "init"), 0o755);
  const modules = [...MD_MODULES, ...(run.modules ?? [])].map((name) => `${name}.ko\n`);
  writeFileSync(join(folder, "modules"), modules.join(""));
  writeFileSync(join(folder, "empty"), "");
  writeFileSync(join(folder, "fstab"), guestMounts(folder).join("\n").concat("\n"));
  run.images.forEach((image, index) => {
    const disk = join(folder, `disk${index}`);
    if (run.onCopies === true) copySparse(image, disk);
    else symlinkSync(realpathSync(image), disk);
  });
}

function guestMounts(folder: string): readonly string[] {
  const hidden = "/etc/mdadm/mdadm.conf";
  return [
    "proc /proc proc defaults 0 0",
    "sysfs /sys sysfs defaults 0 0",
    ...(existsSync(hidden) ? [`${folder}/empty ${hidden} none bind 0 0`] : []),
    "tmpfs /run tmpfs defaults 0 0",
    "tmpfs /run/mdadm tmpfs X-mount.mkdir 0 0",
    "tmpfs /run/lock tmpfs X-mount.mkdir 0 0",
    `none /run/lab hostfs X-mount.mkdir,${folder} 0 0`,
    `none ${GUEST_ROOT} hostfs X-mount.mkdir,ro,${ROOT} 0 0`,
    "tmpfs /tmp tmpfs defaults 0 0",
  ];
}

/** Copies an image and keeps its holes. */
export function copySparse(source: string, target: string): void {
  const copy = spawnSync("cp", ["--sparse=always", "--reflink=auto", source, target]);
  if (copy.status !== 0) throw new Error(`cannot copy ${source}: ${String(copy.stderr)}`);
}

async function superviseGuest(folder: string, run: KernelRun) {
  const memoryMiB = run.memoryMiB ?? 384;
  const limitSeconds = Math.ceil((run.timeoutMs ?? 120_000) / 1000);
  const child = spawn(
    "bash",
    [
      join(import.meta.dirname, "supervise.sh"),
      String(limitSeconds),
      folder,
      KERNEL,
      ...kernelParameters(folder, run.images.length, memoryMiB),
    ],
    {
      detached: true,
      env: guestEnvironment(folder, memoryMiB),
      stdio: ["pipe", "pipe", "pipe", "pipe"],
    },
  );
  const texts = { console: new BoundedText(), output: new BoundedText() };
  child.stdout.on("data", (chunk: Buffer) => texts.console.add(chunk));
  child.stderr.on("data", (chunk: Buffer) => texts.console.add(chunk));
  child.stdio[3]?.on("data", (chunk: Buffer) => texts.output.add(chunk));
  child.stdin.on("error", () => {}); // The group kills itself: the pipe may break.
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve());
  });
  return { output: texts.output.toString(), consoleText: texts.console.toString() };
}

function kernelParameters(folder: string, images: number, memoryMiB: number): readonly string[] {
  const disks = Array.from({ length: images }, (_, index) => `ubd${index}=${folder}/disk${index}`);
  return [
    `mem=${memoryMiB}M`,
    "root=/dev/root",
    "rootfstype=hostfs",
    "rootflags=/",
    "ro",
    `init=${folder}/init`,
    `labdir=${folder}`,
    `labdisks=${images}`,
    "con=null",
    "ssl=null",
    "con0=null,fd:1",
    "ssl0=null,fd:3",
    "console=tty0",
    "panic=-1",
    `umid=lab`,
    `uml_dir=${folder}/`,
    ...disks,
  ];
}

/** The guest's memory is a sparse file; a small /dev/shm (containers) would kill it half-way. */
function guestEnvironment(folder: string, memoryMiB: number): Record<string, string> {
  const shared = existsSync("/dev/shm") ? statfsSync("/dev/shm") : { bavail: 0, bsize: 0 };
  const isRoomy = shared.bavail * shared.bsize > (memoryMiB + 64) * 1024 * 1024;
  return {
    PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
    TMPDIR: isRoomy ? "/dev/shm" : folder,
    ...(needsShim() ? { LD_PRELOAD: buildShim(folder) } : {}),
  };
}

function needsShim(): boolean {
  return (
    readFileSync("/proc/cpuinfo", "latin1").includes(" amx_tile") ||
    process.env["SATSUMA_LAB_SHIM"] === "1"
  );
}

function buildShim(folder: string): string {
  const library = join(folder, "full-xstate.so");
  const source = join(import.meta.dirname, "full-xstate.c");
  const compiler = spawnSync("cc", ["-O1", "-shared", "-fPIC", "-nostdlib", "-o", library, source]);
  if (compiler.status !== 0) throw new Error(`cannot compile ${source}: ${compiler.stderr}`);
  return library;
}

function readGuestStatus(folder: string): number {
  const status = join(folder, "status");
  if (existsSync(status)) return Number(readFileSync(status, "latin1").trim());
  return existsSync(join(folder, "timeout")) ? 124 : 125;
}

function readFiles(folder: string): Map<string, string> {
  const names = readdirSync(folder);
  return new Map(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

/** Collects text up to a limit and drops the rest. */
class BoundedText {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  add(chunk: Buffer): void {
    if (this.#length > OUTPUT_LIMIT) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  toString(): string {
    return Buffer.concat(this.#chunks).toString("utf8");
  }
}
