/** `npm run build`: the program as JavaScript in dist/, the panel in dist-web/. For the image. */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const PANEL_CONFIG = join(ROOT, "web", "vite.config.ts");

function run(name: string, args: readonly string[]): void {
  process.stdout.write(`building ${name}\n`);
  const result = spawnSync(process.execPath, args, { cwd: ROOT, stdio: "inherit" });
  if (result.status !== 0) process.exit(1);
}

rmSync(join(ROOT, "dist"), { recursive: true, force: true });
const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
run("dist", [tsc, "--project", join(ROOT, "tsconfig.build.json")]);
if (existsSync(PANEL_CONFIG)) {
  const vite = join(ROOT, "node_modules", "vite", "bin", "vite.js");
  run("dist-web", [vite, "build", "--config", PANEL_CONFIG]);
}
