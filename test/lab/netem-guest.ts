/**
 * Run in the guest kernel: slow and lossy links by its netem, where the host has none. Prints what
 * was wrong; ends with 0 where nothing was.
 */
import { BAD_LINK, runInNamespaces } from "../helpers/fault-runs/space-run.ts";

const problems = await runInNamespaces([BAD_LINK]);
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
