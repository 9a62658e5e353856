// Runs Biome. The platform packages are pinned directly instead of `@biomejs/biome`, so that the
// lock file holds only the platforms that this project supports.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const biome = join(root, "node_modules", "@biomejs", `cli-linux-${process.arch}`, "biome");
const result = spawnSync(biome, process.argv.slice(2), { stdio: "inherit" });
process.exit(result.status ?? 1);
