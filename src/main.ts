/** The `satsuma` command: every area's verbs on one program. */

import { readFileSync } from "node:fs";
import { registerDemoCommand } from "./cli/demo.ts";
import { registerOfflineCommands } from "./cli/offline.ts";
import { registerOnlineCommands } from "./cli/online.ts";
import { buildProgram, runProgram } from "./cli/program.ts";
import { registerServeCommand, type StartDaemon } from "./cli/serve.ts";
import { registerWitnessCommand } from "./cli/witness-command.ts";
import { onWrapperGone } from "./cli/wrapper.ts";

/** package.json lies beside src/ in a clone and beside dist/ where only the build is shipped. */
const manifest = new URL("../package.json", import.meta.url);
const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string };

// As if the wrapper had passed on what ended it: a daemon stops its arrays cleanly.
onWrapperGone(() => process.kill(process.pid, "SIGTERM"));

const program = buildProgram(version);
/** The daemon with all it imports is loaded only by the verb that runs it. */
const startDaemon: StartDaemon = async (options) => {
  const daemon = await import("./daemon.ts");
  return await daemon.startDaemon(options);
};

registerOfflineCommands(program);
registerOnlineCommands(program);
registerServeCommand(program, startDaemon, version);
registerDemoCommand(program);
registerWitnessCommand(program, version);
process.exitCode = await runProgram(program, process.argv);
