/**
 * `npm run bench -- messages`: md-cluster's messages from one node to 1, 3 and 7 receivers,
 * processed by all and the right to send free again. First the protocols alone, in memory: the
 * literal choreography over the DLM's pure function, and the channel over a map. Then whole nodes
 * over real stores (cluster/store-rows.ts), with what each message costs them.
 */
import type { ExchangeCall, ExchangeEffect } from "../src/cluster/md/message-exchange.ts";
import { assert } from "../src/common/assert.ts";
import { ChannelBench } from "../test/helpers/channel-bench.ts";
import { LiteralBench } from "../test/helpers/literal-bench.ts";
import type { Bench, BenchContext, BenchOutcome } from "./bench.ts";
import { formatStores, RECEIVERS, runStores, STORE_ROWS } from "./cluster/store-rows.ts";
import { measureRate } from "./core-rate.ts";
import { type Figure, formatTable, OURS, type ReportTable, type Row } from "./report.ts";
import { ETCD_BYTES } from "./target.ts";

const WINDOW_SECTORS = 65_536;

/** Sends one message, and has it processed and acknowledged by all. */
type Round = () => void;

/** The part of both protocols that a round needs. */
interface Nodes {
  give(index: number, event: ExchangeCall): void;
  take(index: number): readonly ExchangeEffect[];
}

const roundOf = (nodes: Nodes, receivers: number, forget: () => void): Round => {
  let sent = 0;
  return () => {
    const lo = sent * WINDOW_SECTORS;
    sent += 1;
    nodes.give(0, { type: "request", request: { id: sent, isHold: false } });
    const message = { type: "resyncing", lo, hi: lo + WINDOW_SECTORS } as const;
    nodes.give(0, { type: "send", message, isLast: true });
    for (let index = 1; index <= receivers; index += 1) {
      assert(nodes.take(index)[0]?.type === "process", `receiver ${index} has nothing to process`);
      nodes.give(index, { type: "processed", isRefused: false });
    }
    assert(nodes.take(0).at(-1)?.type === "acknowledged", "the message is not acknowledged");
    forget();
  };
};

const literalRound = (receivers: number): Round => {
  const nodes = LiteralBench.entered(receivers + 1, "satsuma");
  return roundOf(nodes, receivers, () => {
    nodes.calls.length = 0;
  });
};

const channelRound = (receivers: number): Round =>
  roundOf(ChannelBench.entered(receivers + 1), receivers, () => {});

interface MessageRow extends Row {
  readonly group: "core";
  readonly make: () => Round;
}

const rowsOf = (name: string, what: string, make: (receivers: number) => Round): MessageRow[] =>
  RECEIVERS.map((receivers) => ({
    name: `${name}.${receivers}`,
    group: "core",
    description: `${what}, ${receivers} receiver${receivers === 1 ? "" : "s"}`,
    unit: "messages/s",
    make: () => make(receivers),
  }));

const ROWS: readonly MessageRow[] = [
  ...rowsOf("literal", "literal choreography", literalRound),
  ...rowsOf("channel", "message channel", channelRound),
];

const runMessages = async (context: BenchContext): Promise<BenchOutcome> => {
  const { settings, say } = context;
  const rows = ROWS.filter(({ name }) => settings.workloads.includes(name));
  const figures: Figure[] = [];
  for (let round = 0; round < settings.rounds; round += 1) {
    for (const { name, make } of rows) {
      const value = measureRate(settings.seconds, 1, make());
      figures.push({ row: name, subject: OURS, round, value });
      say(`round ${round + 1}/${settings.rounds} ${name} ${value.toFixed(0)} messages/s`);
    }
  }
  const tables: ReportTable[] = [];
  const title = "The protocols alone, in memory; median (min-max):";
  if (rows.length > 0)
    tables.push({ id: "messages", title, markdown: formatTable(figures, rows, [OURS], []) });
  const stores = await runStores(context);
  if (stores.length > 0)
    tables.push({
      id: "messages-stores",
      title: "Whole nodes over a store; medians of the rounds:",
      markdown: formatStores(stores),
    });
  return { tables, results: { figures, stores } };
};

export const MESSAGE_BENCH: Bench = {
  name: "messages",
  summary: "md-cluster's messages: literal choreography and channel, in memory and over stores",
  workloads: [...ROWS, ...STORE_ROWS],
  targets: [],
  tables: ["messages", "messages-stores"],
  space: () => 3 * ETCD_BYTES,
  tools: ({ workloads }) =>
    STORE_ROWS.some(({ name, store }) => store !== "embedded" && workloads.includes(name))
      ? ["etcd"]
      : [],
  defaults: { seconds: 2, rounds: 3, sizeMib: 1, workloads: ["all"], targets: [] },
  run: runMessages,
};
