/**
 * The only place of the command line that prints: results on standard output, errors, warnings and
 * progress on standard error. A reader that goes away ends the program quietly.
 */

import { CodedError } from "../common/errors.ts";

/** Exit codes: refused or failed, and bad usage. */
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
/** What a shell reports for a program that SIGPIPE ended. */
const EXIT_BROKEN_PIPE = 141;

/**
 * Ends the program when its output cannot be written: quietly when whoever reads it is gone, with
 * an error when the disk is full. Call once, at the start.
 */
export function endOnOutputFailure(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT_BROKEN_PIPE);
    printError(
      new CodedError("CLI_OUTPUT_FAILED", `standard output failed (${error.code ?? "EIO"})`, {
        remedy: "check where the output goes",
      }),
    );
    process.exit(EXIT_FAILED);
  });
}

/** Prints a result for people; `text` ends in a newline. */
export function printText(text: string): void {
  process.stdout.write(text);
}

/** Prints a result for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Writes raw bytes to standard output and resolves once it takes more. */
export async function writeOutput(bytes: Uint8Array): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // The stream keeps the bytes until they are gone, so wait for that, not only for room.
  process.stdout.write(bytes, () => resolve());
  await promise;
}

/** True when results would land on somebody's screen. */
export function outputIsTerminal(): boolean {
  return process.stdout.isTTY === true;
}

/** Whatever was thrown as a coded error; what nobody foresaw is a defect. */
export function asCodedError(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  const { code, syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
  if (syscall === "uv_cwd") {
    return new CodedError("CLI_FOLDER_GONE", "the current folder has been removed", {
      remedy: "change to a folder that exists",
      cause: error,
    });
  }
  if (code === "ENOSPC" || code === "EDQUOT") {
    const what = path === undefined ? "what the command writes" : path;
    return new CodedError("CLI_NO_SPACE", `there is no space left for ${what}`, {
      remedy: "free space on its filesystem",
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new CodedError("CLI_INTERNAL", message, {
    remedy: "this is a defect of the program: please report it with these lines",
    cause: error,
  });
}

/** `satsuma: CODE: message; remedy` on standard error, whatever was thrown. */
export function printError(error: unknown): void {
  const coded = asCodedError(error);
  process.stderr.write(`satsuma: ${coded.code}: ${coded.advice}\n`);
  if (coded.code === "CLI_INTERNAL" && error instanceof Error) {
    process.stderr.write(`${error.stack ?? ""}\n`);
  }
}

/** The summary of a command that was not understood. */
export function printUsage(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Something the user ought to know that does not stop the command. */
export function printWarning(text: string): void {
  process.stderr.write(`satsuma: warning: ${text}\n`);
}

/** A bar on standard error, drawn only on a terminal; redrawn at most once per percent. */
export class ProgressBar {
  readonly #label: string;
  readonly #total: number;
  readonly #isShown = process.stderr.isTTY === true;
  #percent = -1;

  /** `total` is in the unit of `update`. */
  constructor(label: string, total: number) {
    this.#label = label;
    this.#total = total;
  }

  update(done: number): void {
    const percent = this.#total === 0 ? 100 : Math.floor((done * 100) / this.#total);
    if (!this.#isShown || percent === this.#percent) return;
    this.#percent = percent;
    const filled = "=".repeat(Math.floor(percent / 2.5));
    process.stderr.write(`\r${this.#label} [${filled.padEnd(40)}] ${percent}%`);
  }

  /** Ends the line. */
  finish(): void {
    if (this.#isShown && this.#percent >= 0) process.stderr.write("\n");
  }
}
