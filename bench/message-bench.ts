/**
 * `npm run bench -- messages`: md-cluster's messages per second in memory, from the first node to
 * 1, 3 and 7 receivers, acknowledged by all and the right to send free again: the literal
 * choreography over the DLM's pure function, and the channel over a map. What a store or a network
 * adds is not in these numbers.
 */
import type { ExchangeCall, ExchangeEffect } from "../src/cluster/md/message-exchange.ts";
import { assert } from "../src/common/assert.ts";
import { ChannelBench } from "../test/helpers/channel-bench.ts";
import { LiteralBench } from "../test/helpers/literal-bench.ts";
import type { Bench, BenchContext, BenchOutcome } from "./bench.ts";
import { measureRate } from "./core-rate.ts";
import { type Figure, formatTable, OURS, type Row } from "./report.ts";

const RECEIVERS = [1, 3, 7];
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

const runMessages = async ({ settings, say }: BenchContext): Promise<BenchOutcome> => {
  const rows = ROWS.filter(({ name }) => settings.workloads.includes(name));
  const figures: Figure[] = [];
  for (let round = 0; round < settings.rounds; round += 1) {
    for (const { name, make } of rows) {
      const value = measureRate(settings.seconds, 1, make());
      figures.push({ row: name, subject: OURS, round, value });
      say(`round ${round + 1}/${settings.rounds} ${name} ${value.toFixed(0)} messages/s`);
    }
  }
  const title = "md-cluster's messages, in memory; median (min-max):";
  return {
    tables: [{ title, markdown: formatTable(figures, rows, [OURS], []) }],
    results: figures,
  };
};

export const MESSAGE_BENCH: Bench = {
  name: "messages",
  summary: "md-cluster's messages in memory: literal choreography and channel",
  workloads: ROWS,
  targets: [],
  defaults: { seconds: 1, rounds: 5, sizeMib: 1, workloads: ["all"], targets: [] },
  run: runMessages,
};
