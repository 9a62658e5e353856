/** The benches; the first is the default. A new one is a file and a line here. */
import type { Bench } from "./bench.ts";
import { CLIENTS_BENCH } from "./clients/clients-bench.ts";
import { SYNC_BENCH } from "./sync/sync-bench.ts";

export const BENCHES: readonly Bench[] = [CLIENTS_BENCH, SYNC_BENCH];
