/** `satsuma witness`: a machine that keeps no data and gives two boards a third vote. */

import { hostname } from "node:os";
import path from "node:path";
import type { Command } from "commander";
import { CodedError } from "../common/errors.ts";
import { ndjsonLogger } from "../common/log.ts";
import { makeFolder } from "../hal/linux/make-folder.ts";
import { ClusterLife, GRACE_MS } from "../life/cluster-life.ts";
import { QUOTA_BYTES } from "../life/etcd-arguments.ts";
import { chooseHost } from "../life/ports-driver.ts";
import { printText } from "./output.ts";
import { tokenFrom } from "./token-input.ts";

interface WitnessFlags {
  readonly data: string;
  readonly join?: string;
  readonly tokenFile?: string;
  readonly name?: string;
  readonly host?: string;
  readonly fsyncLimit: string;
}

const defaultName = (): string => `${hostname().replace(/[^A-Za-z0-9-]/g, "-")}-witness`;

const run = async (flags: WitnessFlags, version: string): Promise<void> => {
  process.umask(0o077);
  const logger = ndjsonLogger({
    write: (line) => process.stderr.write(line),
    wallTime: Date.now,
    level: "info",
  });
  const ended = Promise.withResolvers<string>();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => ended.resolve(signal));
  const dataDirectory = path.resolve(flags.data);
  makeFolder(dataDirectory);
  const fsyncLimitMs = Number(flags.fsyncLimit);
  if (!(fsyncLimitMs > 0)) {
    throw new CodedError("CLI_BAD_USAGE", `--fsync-limit ${flags.fsyncLimit} is no time`, {
      remedy: "give milliseconds",
    });
  }
  const life = await ClusterLife.open({
    dataDirectory,
    role: "witness",
    name: flags.name ?? defaultName(),
    host: chooseHost(flags.host ?? null, "0.0.0.0"),
    version,
    isConfigured: false,
    quotaBytes: QUOTA_BYTES,
    fsyncLimitMs,
    graceMs: GRACE_MS,
    now: Date.now,
    logger,
    onEvent: ({ type, message }) => logger.info({ message }, type),
    onRestart: (why) => ended.resolve(why),
  });
  try {
    if (life.identity === null) {
      if (flags.join === undefined && flags.tokenFile === undefined) {
        throw new CodedError("LIFE_NO_CLUSTER", `${dataDirectory} belongs to no witness yet`, {
          remedy: "join with a token: satsuma cluster token --witness on a board makes one",
        });
      }
      await life.join(tokenFrom(flags.join, flags.tokenFile), null);
      // Its arguments may have the token, for whoever lists processes.
      process.title = "satsuma witness";
    }
    const { identity } = life;
    printText(
      `witness ${identity?.board} of the cluster ${identity?.cluster}, at ${identity?.host}\n`,
    );
    const why = await ended.promise;
    printText(`${why}\n`);
  } finally {
    await life.close(false);
  }
};

/** Registers the verb. */
export function registerWitnessCommand(program: Command, version: string): void {
  program
    .command("witness")
    .description("run a witness in the foreground: a vote for a cluster, and no data")
    .requiredOption("--data <dir>", "data directory: keys, and etcd's data")
    .option("--token-file <file>", "join with the token in the file; later starts need none")
    .option("--join <token>", "join with this token; - reads it from the input")
    .option("--name <name>", "its name in the cluster")
    .option("--host <host>", "the host that boards reach it at (default: its first address)")
    .option("--fsync-limit <ms>", "a disk with slower durable writes gets no vote", "50")
    .action(async (flags: WitnessFlags) => await run(flags, version));
}
