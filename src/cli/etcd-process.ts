/** One etcd on loopback as a child of the demo: the store in which its boards meet. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { type IncomingMessage, get as plainGet } from "node:http";
import { get as secureGet } from "node:https";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { CodedError } from "../common/errors.ts";
import type { EtcdCredentials } from "./demo-credentials.ts";

const START_MS = 30_000;
const LOOK_MS = 100;
const ANSWER_MS = 1000;
const STOP_MS = 10_000;

/** Files by which etcd and its clients know each other: the same for both ends. */
export interface EtcdFiles {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** A running etcd. */
export interface EtcdProcess {
  readonly credentials: EtcdCredentials;
  /** Resolves with the reason when the process ends, however it does. */
  readonly exited: Promise<string>;
  stop(): Promise<void>;
}

/** A port that nobody has just now; `wanted` if it is free. */
const freePort = async (wanted: number): Promise<number> => {
  for (const port of [wanted, 0]) {
    const server = createServer();
    try {
      server.listen({ host: "127.0.0.1", port });
      await once(server, "listening");
      const address = server.address();
      if (typeof address === "object" && address !== null) return address.port;
    } catch {
      // Taken, or not ours to take: any other one will do.
    } finally {
      server.close();
    }
  }
  return 0;
};

/** True while a process with this number is the etcd of the folder. */
const isOurs = (pid: number, folder: string): boolean => {
  try {
    const [command = "", ...flags] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return path.basename(command) === "etcd" && flags.includes(folder);
  } catch {
    return false;
  }
};

/** An etcd that outlived a demo which was killed holds the folder: it is ended. */
const endLeftOver = async (previous: EtcdCredentials | null, folder: string): Promise<void> => {
  if (previous === null || !isOurs(previous.pid, folder)) return;
  process.kill(previous.pid, "SIGTERM");
  const deadline = Date.now() + STOP_MS;
  while (isOurs(previous.pid, folder) && Date.now() < deadline) await pause(LOOK_MS);
  if (isOurs(previous.pid, folder)) process.kill(previous.pid, "SIGKILL");
};

/** The body of a reply; rejects when there is none in time. */
const fetchText = async (url: string, tls: EtcdFiles | null): Promise<string> => {
  const options = { timeout: ANSWER_MS, agent: false } as const;
  const request =
    tls === null
      ? plainGet(url, options)
      : secureGet(url, {
          ...options,
          ca: readFileSync(tls.authority),
          cert: readFileSync(tls.certificate),
          key: readFileSync(tls.key),
        });
  request.on("timeout", () => request.destroy(new Error("no answer")));
  const [reply] = (await once(request, "response")) as [IncomingMessage];
  reply.setEncoding("utf8");
  let text = "";
  for await (const piece of reply) text += piece;
  return text;
};

const isHealthy = async (endpoint: string, tls: EtcdFiles | null): Promise<boolean> => {
  try {
    const reply = await fetchText(`${endpoint}/health`, tls);
    return (JSON.parse(reply) as { readonly health?: string }).health === "true";
  } catch {
    return false;
  }
};

/** Nobody without a certificate of the authority is answered, at either port. */
const tlsFlags = ({ authority, certificate, key }: EtcdFiles): readonly string[] =>
  ["", "peer-"].flatMap((side) => [
    `--${side}client-cert-auth`,
    `--${side}trusted-ca-file`,
    authority,
    `--${side}cert-file`,
    certificate,
    `--${side}key-file`,
    key,
  ]);

const endOf = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    child.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });

const failed = (why: string, log: string): CodedError =>
  why === "ENOENT"
    ? new CodedError("CLI_NO_ETCD", "boards that share disks need etcd, and it is not installed", {
        remedy: "install it: apt-get install etcd-server",
      })
    : new CodedError("CLI_ETCD_ENDED", `etcd did not start (${why})`, { remedy: `see ${log}` });

/** Begins a command that the kernel ends when this process is killed, where there is setpriv. */
const diesWithUs = (): readonly string[] => {
  const has = (name: string): boolean => isOnPath(name, process.env["PATH"] ?? "");
  // Without etcd setpriv would say so, and not as we do.
  return has("setpriv") && has("etcd") ? ["setpriv", "--pdeathsig", "TERM"] : [];
};

const isOnPath = (name: string, folders: string): boolean =>
  folders.split(path.delimiter).some((folder) => existsSync(path.join(folder, name)));

/** How to start etcd. */
export interface EtcdStart {
  /** It is asked for where it was, nowhere else. */
  readonly keepsPort?: boolean;
  readonly tls?: EtcdFiles | null;
}

/**
 * Starts etcd with its data in the folder.
 * Errors: CLI_NO_ETCD, CLI_ETCD_ENDED.
 */
export async function startEtcd(
  directory: string,
  previous: EtcdCredentials | null,
  { keepsPort = false, tls = null }: EtcdStart = {},
): Promise<EtcdProcess> {
  const folder = path.join(directory, "etcd");
  await endLeftOver(previous, folder);
  const lastPort = Number(URL.parse(previous?.endpoints[0] ?? "")?.port ?? 0);
  const scheme = tls === null ? "http" : "https";
  const endpoint = `${scheme}://127.0.0.1:${keepsPort ? lastPort : await freePort(lastPort)}`;
  const peer = `${scheme}://127.0.0.1:${await freePort(0)}`;
  const logPath = path.join(directory, "etcd.log");
  const log = openSync(logPath, "a", 0o600);
  const urls = ["--listen-client-urls", endpoint, "--advertise-client-urls", endpoint];
  const peers = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer];
  const names = ["--name", "demo", "--initial-cluster", `demo=${peer}`, "--data-dir", folder];
  const rest = [
    ...["--logger", "zap", "--log-level", "warn", "--auto-compaction-retention", "1h"],
    ...(tls === null ? [] : tlsFlags(tls)),
  ];
  const all = [...names, ...urls, ...peers, ...rest];
  const [command = "etcd", ...args] = [...diesWithUs(), "etcd", ...all];
  // A group of its own: Ctrl-C reaches only the demo, which ends it last.
  const child = spawn(command, args, {
    stdio: ["ignore", log, log],
    detached: true,
  });
  closeSync(log);
  const exited = endOf(child);
  let ending: string | null = null;
  void exited.then((why) => {
    ending = why;
  });
  const deadline = Date.now() + START_MS;
  while (!(await isHealthy(endpoint, tls))) {
    if (ending !== null) throw failed(ending, logPath);
    if (Date.now() > deadline) {
      child.kill("SIGKILL");
      throw failed("no answer", logPath);
    }
    await pause(LOOK_MS);
  }
  return {
    credentials: { endpoints: [endpoint], pid: child.pid ?? 0, data_dir: folder },
    exited,
    stop: async () => {
      child.kill("SIGTERM");
      const timeout = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await exited;
      clearTimeout(timeout);
    },
  };
}
