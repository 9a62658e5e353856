/**
 * Counters of the requests that a server answered: per command and error, bytes, and a latency
 * histogram with fixed bounds. Recording costs a few additions and allocates nothing.
 */
import { NBD_CMD_FLUSH, NBD_CMD_READ, NBD_CMD_WRITE } from "./constants.ts";
import {
  NBD_EINVAL,
  NBD_EIO,
  NBD_ENOMEM,
  NBD_ENOSPC,
  NBD_ENOTSUP,
  NBD_EOVERFLOW,
  NBD_EPERM,
  NBD_ESHUTDOWN,
} from "./export-backend.ts";

/** Upper bounds of the latency buckets in seconds; one more bucket holds what is slower. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.000025, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
  1, 2, 5, 10,
];

/** Counts per bucket (one more than bounds) and the sum of all latencies in seconds. */
export interface LatencyHistogram {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
}

/** A snapshot of the counters since start. */
export interface NbdCounters {
  /** Per command and error: `{ "read:0": 12, "write:5": 1 }`. */
  readonly nbdRequests: Readonly<Record<string, number>>;
  /** Payload bytes of successful requests. */
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly readOps: number;
  readonly writeOps: number;
  readonly flushOps: number;
  readonly latency: Readonly<Record<"read" | "write" | "flush", LatencyHistogram>>;
}

/** Names by command number. */
const COMMANDS = [
  "read",
  "write",
  "disconnect",
  "flush",
  "trim",
  "cache",
  "write-zeroes",
  "block-status",
  "unknown",
];
const UNKNOWN = COMMANDS.length - 1;
const ERRORS = [
  0,
  NBD_EPERM,
  NBD_EIO,
  NBD_ENOMEM,
  NBD_EINVAL,
  NBD_ENOSPC,
  NBD_EOVERFLOW,
  NBD_ENOTSUP,
  NBD_ESHUTDOWN,
];
const EIO_INDEX = ERRORS.indexOf(NBD_EIO);
const MILLISECONDS = 1000;

export class IoStatistics {
  readonly #requests = new Float64Array(COMMANDS.length * ERRORS.length);
  readonly #read = new Latency();
  readonly #write = new Latency();
  readonly #flush = new Latency();
  #readBytes = 0;
  #writtenBytes = 0;

  /** One request answered with `errno` after `milliseconds`. */
  record(command: number, errno: number, lengthBytes: number, milliseconds: number): void {
    const row = Math.min(command, UNKNOWN);
    const column = errno === 0 ? 0 : errorIndex(errno);
    const cell = row * ERRORS.length + column;
    this.#requests[cell] = (this.#requests[cell] ?? 0) + 1;
    if (command === NBD_CMD_READ) {
      this.#read.add(milliseconds);
      if (errno === 0) this.#readBytes += lengthBytes;
    } else if (command === NBD_CMD_WRITE) {
      this.#write.add(milliseconds);
      if (errno === 0) this.#writtenBytes += lengthBytes;
    } else if (command === NBD_CMD_FLUSH) {
      this.#flush.add(milliseconds);
    }
  }

  /** The counters as plain values, fit for posting to another thread. */
  snapshot(): NbdCounters {
    const nbdRequests: Record<string, number> = {};
    for (const [row, command] of COMMANDS.entries()) {
      for (const [column, errno] of ERRORS.entries()) {
        const count = this.#requests[row * ERRORS.length + column] ?? 0;
        if (count > 0) nbdRequests[`${command}:${errno}`] = count;
      }
    }
    return {
      nbdRequests,
      readBytes: this.#readBytes,
      writtenBytes: this.#writtenBytes,
      readOps: this.#read.total,
      writeOps: this.#write.total,
      flushOps: this.#flush.total,
      latency: {
        read: this.#read.snapshot(),
        write: this.#write.snapshot(),
        flush: this.#flush.snapshot(),
      },
    };
  }
}

class Latency {
  readonly #boundsMs = Float64Array.from(LATENCY_BOUNDS, (bound) => bound * MILLISECONDS);
  readonly #counts = new Float64Array(LATENCY_BOUNDS.length + 1);
  #sumMs = 0;
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(milliseconds: number): void {
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS.length && milliseconds > (this.#boundsMs[bucket] ?? 0)) {
      bucket += 1;
    }
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sumMs += milliseconds;
    this.#total += 1;
  }

  snapshot(): LatencyHistogram {
    return {
      bounds: LATENCY_BOUNDS,
      counts: [...this.#counts],
      sum: this.#sumMs / MILLISECONDS,
    };
  }
}

/** An error that the protocol does not know is told as EIO. */
function errorIndex(errno: number): number {
  const index = ERRORS.indexOf(errno);
  return index < 0 ? EIO_INDEX : index;
}
