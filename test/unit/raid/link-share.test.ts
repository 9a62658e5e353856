/** Sync actions keep to their share of the network, and leave more of it to others who use it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { NO_LINK_BEST, noteBest, shareOf } from "../../../src/raid/link-share.ts";
import {
  type BenchOptions,
  inSync,
  MachineBench,
  MIB,
  rebuilding,
} from "../../helpers/machine-bench.ts";

const test = suite("raid/link-share");

/** A rebuild onto `paths[1]`; pieces share a link of so many MiB per second. */
class LinkBench {
  readonly bench: MachineBench;
  /** MiB per second that copies get of it now. */
  rate: number;
  #sent = 0;

  constructor(rate: number, paths: readonly string[], options: BenchOptions = {}) {
    this.rate = rate;
    this.bench = new MachineBench({
      chunks: 65_536,
      hasBitmap: false,
      placements: [inSync(0), rebuilding(1)],
      paths,
      linkShare: 0.7,
      ...options,
    });
    this.bench.command({ type: "sync-speed", min: MIB, max: 4096 * MIB });
  }

  /** MiB per second over so many seconds. */
  copiedIn(seconds: number): number {
    const { bench } = this;
    let copied = 0;
    for (let ms = 0; ms < seconds * 1000; ms += 5) {
      // What was under way for these 5 ms has been sent; then the machine sees that they are over.
      bench.now += 5;
      this.#sent = bench.copies.length === 0 ? 0 : this.#sent + (this.rate * 5) / 1000;
      while (bench.copies.length > 0 && this.#sent >= 1) {
        bench.finishCopy();
        this.#sent -= 1;
        copied += 1;
      }
      bench.tick(0);
    }
    return copied / seconds;
  }

  get heldBy() {
    return this.bench.status.sync?.heldBy;
  }
}

const isAbout = (found: number, expected: number): void =>
  assert.ok(Math.abs(found - expected) < 0.15 * expected, `${found}, not about ${expected} MiB/s`);

test("a rebuild over the network takes its share of what the link gives", () => {
  const link = new LinkBench(100, ["/m0", "peer:b/disk1"]);
  link.copiedIn(3);
  isAbout(link.copiedIn(5), 70);
  const quicker = new LinkBench(200, ["peer:b/disk1", "/m1"]);
  quicker.copiedIn(3);
  isAbout(quicker.copiedIn(5), 140);
});

test("the share does not shrink by what it leaves unused", () => {
  const link = new LinkBench(100, ["/m0", "peer:b/disk1"]);
  link.copiedIn(200);
  isAbout(link.copiedIn(5), 70);
});

test("copies between a board's own disks take all that there is", () => {
  const link = new LinkBench(100, ["/m0", "/m1"]);
  link.copiedIn(1);
  isAbout(link.copiedIn(5), 100);
});

test("when others use the link, less than the share of what is left is taken", () => {
  const link = new LinkBench(100, ["/m0", "peer:b/disk1"]);
  link.copiedIn(3);
  link.rate = 50;
  link.copiedIn(2);
  isAbout(link.copiedIn(5), 0.7 * 50 * 0.5);
  link.rate = 100;
  link.copiedIn(2);
  isAbout(link.copiedIn(5), 70);
});

test("a link that stays slower is believed after a minute", () => {
  const link = new LinkBench(100, ["/m0", "peer:b/disk1"]);
  link.copiedIn(3);
  link.rate = 50;
  link.copiedIn(70);
  isAbout(link.copiedIn(5), 35);
});

test("what the administrator guarantees is copied, however slow the link is", () => {
  const link = new LinkBench(100, ["/m0", "peer:b/disk1"]);
  link.bench.command({ type: "sync-speed", min: 90 * MIB, max: 4096 * MIB });
  link.copiedIn(3);
  isAbout(link.copiedIn(5), 90);
  link.bench.command({ type: "sync-speed", min: MIB, max: 20 * MIB });
  link.copiedIn(3);
  isAbout(link.copiedIn(5), 20);
});

test("clients of this board go before: then only the guaranteed speed is copied", () => {
  const link = new LinkBench(100, ["/m0", "peer:b/disk1"]);
  link.bench.command({ type: "sync-speed", min: 5 * MIB, max: 4096 * MIB });
  link.copiedIn(3);
  let copied = 0;
  for (let at = 0; at < 100; at += 1) {
    link.bench.shared.countOperation(0);
    copied += link.copiedIn(0.05) * 0.05;
  }
  isAbout(copied / 5, 5);
});

test("the status says that it is the link's share", () => {
  const link = new LinkBench(2000, ["/m0", "peer:b/disk1"], { linkShare: 0.1 });
  link.copiedIn(6);
  assert.is(link.heldBy, "link");
});

test("the best is remembered for half a minute at least, a minute at most", () => {
  let best = noteBest(NO_LINK_BEST, 100, 1_000_000);
  assert.is(shareOf(0.7, 0, best), Number.POSITIVE_INFINITY, "nothing is measured");
  best = noteBest(best, 50, 1_031_000);
  assert.is(shareOf(1, 50, best), 25);
  assert.is(shareOf(1, 10, best), 2.5, "a quarter of the share stays");
  best = noteBest(best, 50, 1_062_000);
  assert.is(shareOf(1, 50, best), 50);
  const long = noteBest({ since: 0, now: 100, before: 0 }, 50, 70_000);
  assert.is(shareOf(1, 50, long), 50, "nothing was measured for longer");
});

test.run();
