/** What a bench is: one file exports one, and `benches.ts` lists it. */
import type { ReportTable } from "./report.ts";

/** A word of `--workloads`, and the group that selects it together with others. */
export interface WorkloadName {
  readonly name: string;
  readonly group: string;
  readonly description: string;
}

/** What the command line asks for; a bench without rounds or sizes ignores them. */
export interface BenchSettings {
  /** Seconds of each timed job. */
  readonly seconds: number;
  /** Medians are over them. */
  readonly rounds: number;
  /** How often all rounds are made, each time on servers started anew; a bench may know but one. */
  readonly runs: number;
  /** Bytes of each array or file that are used. */
  readonly sizeBytes: number;
  /** Names, in the order of the bench's own list. */
  readonly workloads: readonly string[];
  readonly targets: readonly string[];
}

export interface BenchContext {
  readonly settings: BenchSettings;
  /** An empty folder on the disk that is measured; removed afterwards. */
  readonly folder: string;
  /** Tells the user how far it is. */
  say(text: string): void;
  /** Registers what must end before the folder is removed, also when the bench fails. */
  onEnd(end: () => Promise<void>): void;
}

export interface BenchOutcome {
  readonly tables: readonly ReportTable[];
  /** Every single result, for `--json`. */
  readonly results: unknown;
}

export interface Bench {
  /** Its word on the command line. */
  readonly name: string;
  readonly summary: string;
  readonly workloads: readonly WorkloadName[];
  readonly targets: readonly string[];
  /** The ids of its tables: each has a place in docs/performance.md. */
  readonly tables: readonly string[];
  /** True when it makes `runs` runs. */
  readonly hasRuns?: boolean;
  /** Bytes that it writes into its folder, at most at a time; holes do not count. */
  readonly space: (settings: BenchSettings) => number;
  /** Programs that the settings cannot do without. */
  readonly tools: (settings: BenchSettings) => readonly string[];
  readonly defaults: {
    readonly seconds: number;
    readonly rounds: number;
    readonly sizeMib: number;
    /** Names or groups. */
    readonly workloads: readonly string[];
    readonly targets: readonly string[];
  };
  run(context: BenchContext): Promise<BenchOutcome>;
}
