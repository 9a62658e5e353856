/** The two protocols with one rule broken, and what that must lead to. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Break, copyBroken } from "../helpers/broken-copy.ts";
import type { StepChannel } from "./channel-world.ts";
import type { StepLiteral } from "./literal-world.ts";
import type { WorldOptions } from "./message-world.ts";

export interface BrokenProtocol {
  readonly name: string;
  readonly changes: readonly Break[];
  /** Where it shows. */
  readonly world: WorldOptions;
  /** The violation. */
  readonly by: RegExp;
}

const ONE_EACH: WorldOptions = { wishes: [["message"], ["message"], []], crashes: 1 };

export const BROKEN_LITERAL: readonly BrokenProtocol[] = [
  {
    name: "no take-over of an unfinished message",
    changes: [
      {
        file: "literal-sender.ts",
        from: 'if (d.dialect === "satsuma" && envelope.seq > d.doneSeq) takeOver(d, envelope);',
        to: "d.doneSeq = Math.max(d.doneSeq, envelope.seq);\n  if (d.lastSeq < 0) takeOver(d, envelope);",
      },
    ],
    world: ONE_EACH,
    by: /was processed by \d but not by all of/,
  },
  {
    name: "a message is not known again by its number",
    changes: [
      {
        file: "literal-receiver.ts",
        from: "isOwn(d, envelope) || envelope.seq <= lastSeq",
        to: "isOwn(d, envelope)",
      },
    ],
    world: ONE_EACH,
    by: /processed message \d+ twice/,
  },
  {
    name: "acknowledged before it is processed",
    changes: [
      {
        file: "literal-receiver.ts",
        from: 'd.receiver = "handling";\n    beginHandling(d, envelope);',
        to: "beginHandling(d, envelope);\n    acknowledge(d);",
      },
    ],
    world: { wishes: [["message"], []] },
    by: /is finished, and node 1 has not processed it/,
  },
  {
    name: "the receiver lets the message go before it counts again",
    changes: [
      {
        file: "literal-receiver.ts",
        from: 'd.receiver = "ack-cr";\n      lock(d, ACK, CR);',
        to: 'd.receiver = "ack-cr";\n      lock(d, MESSAGE, NL);',
      },
      {
        file: "literal-receiver.ts",
        from: 'd.receiver = "message-nl";\n      lock(d, MESSAGE, NL);',
        to: 'd.receiver = "message-nl";\n      lock(d, ACK, CR);',
      },
    ],
    world: { wishes: [["message", "message"], []] },
    by: /message 1 is finished, and node 1 has not processed it/,
  },
];

export const BROKEN_CHANNEL: readonly BrokenProtocol[] = [
  {
    name: "publishes over an unfinished message instead of taking it over",
    changes: [
      {
        file: "channel-view.ts",
        from: "return !isDone && holder !== null && !isMember(view, holder);",
        to: "return isDone && holder === null && !isMember(view, view.members[0]!);",
      },
      {
        file: "channel-view.ts",
        from: "if (!isDone) return false;",
        to: "if (!isDone) return holder !== null && !isMember(view, holder);",
      },
      { file: "channel-sender.ts", from: "if (!record.isDone || d.inFlight", to: "if (d.inFlight" },
    ],
    world: ONE_EACH,
    by: /is written over the unfinished one/,
  },
  {
    name: "a removed member counts as having acknowledged at once",
    changes: [
      {
        file: "channel-view.ts",
        from: "owners.filter((owner) => isUnfenced(view, owner) && !isMember(view, owner))",
        to: "owners.filter(() => false)",
      },
    ],
    world: { wishes: [["message"], []], expulsions: 1 },
    by: /is finished, and node 1 has not processed it/,
  },
  {
    name: "acknowledged before it is processed",
    changes: [
      {
        file: "channel-receiver.ts",
        from: "if (record.seq === d.lastSeq && (ackOf(view, d.me)?.seq ?? 0) < d.lastSeq)",
        to: "if ((ackOf(view, d.me)?.seq ?? 0) < record.seq)",
      },
      {
        file: "channel-txn.ts",
        from: "const { me, lastSeq: seq, ",
        to: "const seq = view.record.seq;\n  const { me, ",
      },
    ],
    world: { wishes: [["message"], []] },
    by: /is finished, and node 1 has not processed it/,
  },
  {
    name: "joins without looking whether a message was sent meanwhile",
    changes: [
      {
        file: "channel-txn.ts",
        from: "const guard = isUnchanged(channelKey(prefix), view.modRevision);",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
        to: "const guard = isUnchanged(`${prefix}none`, 0);",
      },
    ],
    world: { wishes: [["message", "message"], []], joiners: 1 },
    by: /node 2 is out: message \d is there, 0 was the last one here|is written over|message \d follows message/,
  },
  {
    name: "the right to send passes on before its dead holder is fenced",
    changes: [
      {
        file: "channel-view.ts",
        from: "(!isMember(view, holder) && !isUnfenced(view, holder))",
        to: "!isMember(view, holder)",
      },
    ],
    world: { wishes: [["hold"], ["hold"]], expulsions: 1 },
    by: /node \d may send exclusively while node \d may/,
  },
  {
    name: "the right to send is used again although its return was tried",
    changes: [{ file: "channel-sender.ts", from: "d.isReleasing = true;", to: "" }],
    world: { wishes: [["hold, withdraw", "hold"], ["hold"]], isHostile: true },
    by: /node \d may send exclusively while node \d may/,
  },
];

const PARTS = ["common", join("cluster", "dlm"), join("cluster", "md")];

const withBroken = async <T>(
  changes: readonly Break[],
  file: string,
  body: (module: Record<string, unknown>) => T,
): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), "broken-messages-"));
  try {
    return body(await copyBroken(folder, PARTS, join("cluster", "md"), changes)(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

export const withBrokenLiteral = <T>(
  changes: readonly Break[],
  body: (step: StepLiteral) => T,
): Promise<T> =>
  withBroken(changes, "literal-exchange.ts", (module) =>
    body(module["stepLiteral"] as StepLiteral),
  );

export const withBrokenChannel = <T>(
  changes: readonly Break[],
  body: (step: StepChannel) => T,
): Promise<T> =>
  withBroken(changes, "channel-exchange.ts", (module) =>
    body(module["stepChannel"] as StepChannel),
  );
