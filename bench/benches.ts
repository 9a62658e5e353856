/** The benches; the first is the default. A new one is a file and a line here. */
import { API_BENCH } from "./api/api-bench.ts";
import type { Bench } from "./bench.ts";
import { BITMAP_BENCH } from "./bitmap/bitmap-bench.ts";
import { CLIENTS_BENCH } from "./clients/clients-bench.ts";
import { HOLD_BENCH } from "./cluster/hold-bench.ts";
import { DLM_BENCH } from "./dlm-bench.ts";
import { FAILOVER_BENCH } from "./failover/failover-bench.ts";
import { MESSAGE_BENCH } from "./message-bench.ts";
import { START_BENCH } from "./start/start-bench.ts";
import { SYNC_BENCH } from "./sync/sync-bench.ts";

export const BENCHES: readonly Bench[] = [
  CLIENTS_BENCH,
  SYNC_BENCH,
  BITMAP_BENCH,
  START_BENCH,
  API_BENCH,
  DLM_BENCH,
  MESSAGE_BENCH,
  HOLD_BENCH,
  FAILOVER_BENCH,
];
