/** What the numbers were measured on. */
import { cpus, loadavg, release, totalmem } from "node:os";
import { hasTool } from "../scripts/test-tools.ts";
import { loadNativeIo } from "../src/hal/linux/native-io.ts";
import { runCommand } from "../test/helpers/command.ts";

/** The load average of the last minute; other work beside the bench makes its numbers worthless. */
export function describeLoad(): string {
  const [load = 0] = loadavg();
  const isBusy = load > cpus().length / 2;
  const verdict = isBusy ? ", NOT a quiet machine: measure again" : "";
  return `load average before ${load.toFixed(1)}${verdict}`;
}

/** Hardware, kernel, file system under `folder` and versions, one line each. */
export async function describeMachine(folder: string): Promise<readonly string[]> {
  const [cpu] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const { stdout } = await runCommand("df", ["--output=fstype", folder], 10_000);
  const type = stdout.trim().split("\n").at(-1) ?? "";
  const tools = ["fio", "qemu-storage-daemon", "nbdkit"].filter((tool) => hasTool(tool));
  const versions = await Promise.all(tools.map((tool) => firstLine(tool, ["--version"])));
  const native =
    (await loadNativeIo()) === null ? "WITHOUT koffi: cold reads and bits are slower" : "koffi";
  return [
    `${cpus().length} x ${cpu?.model.trim() ?? "unknown CPU"}, ${memory}`,
    `Linux ${release()}, legs on ${type}${type === "tmpfs" ? ", where nothing is ever cold" : ""}`,
    [`Node ${process.version}`, native, ...versions].join(", "),
  ];
}

async function firstLine(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await runCommand(command, args, 10_000);
  return stdout.split("\n", 1)[0] ?? "";
}
