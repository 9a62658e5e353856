/** The static checks as commands, for `npm run check` and for the test that runs them. */
import { existsSync } from "node:fs";
import { join } from "node:path";

export interface CheckStep {
  readonly name: string;
  /** Program and arguments, to run at the root of the repository. */
  readonly command: readonly string[];
}

/** Type checks of every tsconfig there is, then Biome over everything. */
export function checkSteps(root: string): CheckStep[] {
  const modules = join(root, "node_modules");
  const tsc = [process.execPath, join(modules, "typescript", "bin", "tsc"), "--noEmit"];
  const biome = join(modules, "@biomejs", `cli-linux-${process.arch}`, "biome");
  const steps = [{ name: "types", command: [...tsc, "--project", root] }];
  const web = join(root, "web");
  if (existsSync(join(web, "tsconfig.json"))) {
    steps.push({ name: "types of the panel", command: [...tsc, "--project", web] });
  }
  // A warning fails too: it is either right and to be fixed, or its rule is to be turned off.
  steps.push({ name: "lint and format", command: [biome, "check", "--error-on-warnings", "."] });
  return steps;
}
