/**
 * The `satsuma` command: its frame, without verbs. Each area registers its own verbs on it. Errors
 * end the command with exit code 1 (refused or failed) or 2 (bad usage), and one line on standard
 * error: `satsuma: CODE: message`.
 */

import { Command, CommanderError } from "commander";
import { CodedError } from "../common/errors.ts";
import { EXIT_FAILED, EXIT_USAGE, endOnOutputFailure, printError, printUsage } from "./output.ts";

/** A program without verbs that throws instead of exiting. */
export function buildProgram(version: string): Command {
  return new Command("satsuma")
    .description("md mirrors in user space, bit-compatible with mdadm")
    .version(version)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      // runProgram prints errors in the project's own form.
      writeErr: () => undefined,
    })
    .exitOverride();
}

/** Runs the verb that `argv` names and returns the exit code. Never throws. */
export async function runProgram(program: Command, argv: readonly string[]): Promise<number> {
  endOnOutputFailure();
  try {
    await program.parseAsync([...argv]);
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) return endOfCommander(program, error);
    printError(error);
    return error instanceof CodedError && error.code === "CLI_BAD_USAGE" ? EXIT_USAGE : EXIT_FAILED;
  }
}

/** commander "throws" for --help and --version too, after printing them. */
function endOfCommander(program: Command, error: CommanderError): number {
  if (error.exitCode === 0) return 0;
  if (error.code === "commander.help") {
    printUsage(program.helpInformation());
    printError(new CodedError("CLI_BAD_USAGE", "no command given", { remedy: "see --help" }));
    return EXIT_USAGE;
  }
  const message = error.message.replace(/^error: /, "").replaceAll("\n", " ");
  printError(new CodedError("CLI_BAD_USAGE", message, { remedy: `see ${program.name()} --help` }));
  return EXIT_USAGE;
}
