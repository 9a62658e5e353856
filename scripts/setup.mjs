// Sets a clone up: dependencies, the optional GPIO addon and the built panel. Runs before `npm start` and
// `npm test`, on any Node.js from 20 on, and does nothing when everything is in step. Plain JavaScript:
// it must run before the pinned Node.js is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const stampFile = join(modules, ".satsuma-setup");
const pinnedPackage = join(modules, `node-linux-${process.arch}`);
const pinnedNode = join(pinnedPackage, "bin", "node");

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

/** PATH without node_modules/.bin, which npm puts first: `npm ci` deletes that folder while it runs. */
function outerPath() {
  const parts = (process.env.PATH ?? "").split(delimiter);
  return parts.filter((part) => !part.endsWith(join("node_modules", ".bin"))).join(delimiter);
}

/** Runs npm with the Node.js that the user runs it with. Returns its exit code. */
function npm(args) {
  const env = { ...process.env, PATH: outerPath() };
  for (const name of Object.keys(env)) {
    if (name.startsWith("npm_")) delete env[name];
  }
  const cli = process.env.npm_execpath;
  const runner = process.env.npm_node_execpath;
  const outside = runner !== undefined && !runner.startsWith(modules);
  const [command, first] = cli?.endsWith(".js") && outside ? [runner, [cli]] : ["npm", []];
  return spawnSync(command, [...first, ...args], { cwd: root, env, stdio: ["ignore", 2, 2] }).status;
}

/** What the stamp holds when node_modules was installed from today's lock file for this machine. */
function wantedStamp() {
  const hash = createHash("sha256").update(readFileSync(join(root, "package-lock.json")));
  return `${hash.digest("hex")} ${process.platform}-${process.arch}\n`;
}

function installDependencies() {
  const wanted = wantedStamp();
  const present = existsSync(stampFile) ? readFileSync(stampFile, "utf8") : "";
  if (present === wanted && existsSync(pinnedNode)) return;
  say("installing dependencies (npm ci), this takes about half a minute");
  const status = npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
  if (status !== 0) fail("`npm ci` failed; see its output above, then run the command again");
  if (!existsSync(pinnedNode)) {
    fail(`no pinned Node.js for ${process.platform}-${process.arch}; linux x64 and arm64 are supported`);
  }
  rebuildEpoll();
  writeFileSync(stampFile, wanted);
}

/** `onoff` needs the native addon `epoll`; only boards with GPIO LEDs load it, so failure is not fatal. */
function rebuildEpoll() {
  const folder = join(modules, "epoll");
  if (!existsSync(folder)) return;
  const gyp = [
    process.env.npm_execpath && join(dirname(process.env.npm_execpath), "node-gyp-bin"),
    process.env.npm_execpath &&
      join(dirname(process.env.npm_execpath), "..", "node_modules", "node-gyp", "bin", "node-gyp.js"),
  ].find((file) => file?.endsWith(".js") && existsSync(file));
  const compiler = spawnSync("g++", ["--version"], { stdio: "ignore" }).status === 0;
  if (gyp === undefined || !compiler) {
    say("no C++ compiler: GPIO LEDs (onoff) are not available on this machine");
    return;
  }
  const built = spawnSync(pinnedNode, [gyp, "rebuild", `--nodedir=${pinnedPackage}`], {
    cwd: folder,
    env: { ...process.env, PATH: `${dirname(pinnedNode)}${delimiter}${outerPath()}` },
    stdio: "ignore",
    timeout: 120_000,
  });
  if (built.status !== 0) say("epoll did not compile: GPIO LEDs (onoff) are not available here");
}

/** The newest modification time under `path`, in milliseconds; 0 when it does not exist. */
function newest(path) {
  if (!existsSync(path)) return 0;
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  const times = readdirSync(path)
    .filter((name) => name !== "node_modules")
    .map((name) => newest(join(path, name)));
  return Math.max(0, ...times);
}

function buildPanel() {
  const config = join(root, "web", "vite.config.ts");
  if (!existsSync(config)) return;
  const inputs = [join(root, "web"), join(root, "src", "api", "schemas"), stampFile];
  const built = newest(join(root, "dist-web", "index.html"));
  if (built > Math.max(...inputs.map(newest))) return;
  say("building the panel");
  const vite = join(modules, "vite", "bin", "vite.js");
  const args = [vite, "build", "--config", config, "--logLevel", "warn"];
  const result = spawnSync(pinnedNode, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (result.status !== 0) fail("the panel did not build; see the output above");
}

installDependencies();
buildPanel();
