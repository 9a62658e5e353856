// Sets a clone up: dependencies, the optional GPIO addon and the built panel. Runs before `npm
// start` and `npm test`, on any Node.js from 20 on, and does nothing when everything is in step.
// Plain JavaScript, because it must run before the pinned Node.js is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const stampFile = join(modules, ".satsuma-setup");
const lockFolder = join(root, ".setup-lock");
const pinnedPackage = join(modules, `node-linux-${process.arch}`);
const pinnedNode = join(pinnedPackage, "bin", "node");
const LOCK_WAIT_MS = 10 * 60 * 1000;
const LOCK_POLL_MS = 200;

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

/** PATH without node_modules/.bin, which npm puts first: `npm ci` deletes it while it runs. */
function outerPath() {
  const parts = (process.env.PATH ?? "").split(delimiter);
  return parts.filter((part) => !part.endsWith(join("node_modules", ".bin"))).join(delimiter);
}

/** The environment without what a surrounding npm put into it. */
function outerEnvironment() {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith("npm_"));
  return { ...Object.fromEntries(entries), PATH: outerPath() };
}

/** The first file of that name in `path`, links resolved; undefined when there is none. */
function which(name) {
  const found = outerPath()
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
  return found === undefined ? undefined : realpathSync(found);
}

/** The npm that called this script, or the one in PATH. */
function findNpm() {
  return process.env.npm_execpath ?? which("npm");
}

/** The Node.js to run npm with: never the one inside node_modules, which `npm ci` deletes. */
function findOuterNode() {
  const runner = process.env.npm_node_execpath;
  return runner !== undefined && !runner.startsWith(modules) ? runner : (which("node") ?? "node");
}

/** What the stamp holds when node_modules was installed from today's lock file on this machine. */
function wantedStamp() {
  const hash = createHash("sha256").update(readFileSync(join(root, "package-lock.json")));
  return `${hash.digest("hex")} ${process.platform}-${process.arch}\n`;
}

function isInstalled() {
  if (!existsSync(stampFile) || !existsSync(pinnedNode)) return false;
  return readFileSync(stampFile, "utf8") === wantedStamp();
}

function installDependencies() {
  if (isInstalled()) return;
  const npm = findNpm();
  if (npm === undefined) fail("npm is not in PATH; install Node.js 20 or newer with npm");
  say("installing dependencies (npm ci); this takes about half a minute");
  const options = ["--ignore-scripts", "--include=dev", "--include=optional"];
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  const status = spawnSync(findOuterNode(), [npm, "ci", ...options, ...quiet], {
    cwd: root,
    env: outerEnvironment(),
    stdio: ["ignore", 2, 2],
  }).status;
  if (status !== 0) fail("`npm ci` failed; see its output above, then run the command again");
  if (!existsSync(pinnedNode)) {
    const machine = `${process.platform}-${process.arch}`;
    fail(`there is no pinned Node.js for ${machine}; linux-x64 and linux-arm64 are supported`);
  }
  rebuildEpoll(npm);
  writeFileSync(stampFile, wantedStamp());
}

/**
 * Compiles `epoll`, the native addon under `onoff`, against the pinned Node.js. Only boards with
 * GPIO LEDs load it, so a machine without a compiler goes without.
 */
function rebuildEpoll(npm) {
  const folder = join(modules, "epoll");
  const gyp = join(dirname(npm), "..", "node_modules", "node-gyp", "bin", "node-gyp.js");
  if (!existsSync(folder) || !existsSync(gyp)) return;
  const built = spawnSync(pinnedNode, [gyp, "rebuild", `--nodedir=${pinnedPackage}`], {
    cwd: folder,
    env: {
      ...outerEnvironment(),
      PATH: `${dirname(pinnedNode)}${delimiter}${outerPath()}`,
      npm_config_nodedir: pinnedPackage,
    },
    stdio: "ignore",
    timeout: 120_000,
  });
  if (built.status !== 0) say("no working C++ compiler: GPIO LEDs are not available here");
}

/** The newest modification time under `path`, in milliseconds; 0 when it does not exist. */
function newest(path) {
  if (!existsSync(path)) return 0;
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  const children = readdirSync(path).filter((name) => name !== "node_modules");
  return Math.max(info.mtimeMs, ...children.map((name) => newest(join(path, name))));
}

function buildPanel() {
  const config = join(root, "web", "vite.config.ts");
  if (!existsSync(config)) return;
  const inputs = [join(root, "web"), join(root, "src", "api", "schemas"), stampFile];
  if (newest(join(root, "dist-web", "index.html")) > Math.max(...inputs.map(newest))) return;
  say("building the panel");
  const vite = join(modules, "vite", "bin", "vite.js");
  const options = ["--config", config, "--logLevel", "warn"];
  const result = spawnSync(pinnedNode, [vite, "build", ...options], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (result.status !== 0) fail("the panel did not build; see the output above");
}

/** Pid of the set-up that holds the lock; undefined when that process is gone. */
function lockHolder() {
  try {
    const pid = Number(readFileSync(join(lockFolder, "pid"), "utf8"));
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}

/** Runs `work` alone: a second `npm start` or `npm test` waits for the first one's set-up. */
function alone(work) {
  const deadline = Date.now() + LOCK_WAIT_MS;
  let unheldPolls = 0;
  for (;;) {
    try {
      mkdirSync(lockFolder);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    unheldPolls = lockHolder() === undefined ? unheldPolls + 1 : 0;
    if (unheldPolls > 5) rmSync(lockFolder, { recursive: true, force: true });
    if (Date.now() > deadline) fail(`another set-up does not end; remove ${lockFolder}`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_POLL_MS);
  }
  process.on("exit", () => rmSync(lockFolder, { recursive: true, force: true }));
  writeFileSync(join(lockFolder, "pid"), String(process.pid));
  work();
}

alone(() => {
  installDependencies();
  buildPanel();
});
