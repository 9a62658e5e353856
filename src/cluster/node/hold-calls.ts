/**
 * Calls that need the right to write superblocks: metadata updates and new devices. Source of the
 * order: the document, chapters 5 and 6.5.
 *
 *   metadata-update-start ─► hold ─► answered ─► … ─► finish: how new it is, METADATA_UPDATED; or
 *   cancel
 *   add-new-disk-start ─► hold ─► NEWDISK ─► no-new-dev EX ─► answered ─► a metadata update, in
 *   the same hold, which tells what came of it
 */
import type { ClusterCall } from "../../raid/cluster-port.ts";
import { CR, EX } from "../dlm/lock-mode.ts";
import { NO_NEW_DEV } from "../md/lock-names.ts";
import { nodeNames } from "./membership.ts";
import type { Acknowledgement } from "./message-desk.ts";
import { answer, mustConvert, type NodeContext, OK, refuse } from "./node-context.ts";

type Finish = Extract<ClusterCall, { type: "metadata-update-finish" }>;
type NewDisk = Extract<ClusterCall, { type: "add-new-disk-start" }>;

type HoldCall =
  | { readonly type: "update"; readonly id: number }
  | { readonly type: "new-disk"; readonly id: number; readonly call: NewDisk };

export class HoldCalls {
  readonly #ctx: NodeContext;
  /** In the order in which they were made. */
  #waiting: HoldCall[] = [];
  /** Asked for, or held. */
  #isHeld = false;
  #isAsked = false;
  /** An update was answered and is not finished. */
  #isUpdating = false;
  /** The update is durable, and the cluster is told how new it is: then it is sent. */
  #finishing: (Pick<Finish, "deviceNumber" | "events"> & { readonly id: number }) | null = null;
  /** A new device is being told of, or its update is awaited. */
  #isAdding = false;
  /** All have answered about it. */
  #isTold = false;

  constructor(ctx: NodeContext) {
    this.#ctx = ctx;
  }

  updateStart(id: number): void {
    this.#waiting.push({ type: "update", id });
    this.#serve();
  }

  addNewDisk(id: number, call: NewDisk): void {
    this.#waiting.push({ type: "new-disk", id, call });
    this.#serve();
  }

  /**
   * The cluster remembers how new the superblocks are BEFORE anybody goes by them: what follows
   * from the update may be on no copy that lacks it.
   */
  updateFinish(id: number, { deviceNumber, events }: Finish): void {
    if (!this.#isUpdating || this.#finishing !== null) {
      refuse(this.#ctx, id, "CLUSTER_NO_HOLD", "there is no metadata update to finish");
      return;
    }
    this.#finishing = { id, deviceNumber, events };
    this.#ctx.emit({ type: "put-newest", events });
  }

  onNewestPut(): void {
    const finishing = this.#finishing;
    // A node that leaves meanwhile tells nothing: to the others it is one that died before it did.
    if (finishing === null || this.#ctx.phase === "leaving") return;
    const { id, deviceNumber, events } = finishing;
    this.#finishing = null;
    this.#isUpdating = false;
    this.#ctx.messages.sendLast({ type: "metadata-updated", deviceNumber, events }, () => {
      this.#over();
      this.#ctx.messages.restIsOver();
      answer(this.#ctx, id, OK);
      this.#serve();
    });
  }

  /**
   * Takes a start back that is not answered yet, or ends the update, or the hold that a new device
   * has left, without a message.
   */
  updateCancel(id: number): void {
    if (this.#isUpdating && this.#finishing === null) {
      this.#isUpdating = false;
      this.#over();
      this.#ctx.messages.release();
    } else {
      const at = this.#waiting.findIndex(({ type }) => type === "update");
      const [start] = at < 0 ? [] : this.#waiting.splice(at, 1);
      if (start !== undefined)
        refuse(this.#ctx, start.id, "CLUSTER_CANCELLED", "the metadata update was cancelled");
      else if (this.#isAdding && this.#isTold) {
        this.#over();
        this.#ctx.messages.release();
      }
    }
    answer(this.#ctx, id, OK);
    this.#serve();
  }

  #over(): void {
    this.#isHeld = false;
    this.#isAdding = false;
    this.#isTold = false;
  }

  #serve(): void {
    if (this.#isHeld) {
      this.#serveHeld();
      return;
    }
    if (this.#isAsked || this.#waiting.length === 0) return;
    this.#isAsked = true;
    this.#ctx.messages.hold(() => {
      this.#isAsked = false;
      this.#isHeld = true;
      this.#serveHeld();
    });
  }

  /**
   * An update tells what became of a device that is being told of: it comes AFTER all have answered
   * about it. An earlier one would have the others let the device go.
   */
  #serveHeld(): void {
    if (this.#isUpdating || (this.#isAdding && !this.#isTold)) return;
    const isNext = ({ type }: HoldCall): boolean => !this.#isAdding || type === "update";
    const at = this.#waiting.findIndex(isNext);
    const [next] = at < 0 ? [] : this.#waiting.splice(at, 1);
    if (next?.type === "update") {
      this.#isUpdating = true;
      answer(this.#ctx, next.id, OK);
    } else if (next !== undefined) this.#tellNewDisk(next.id, next.call);
    else if (!this.#isAdding) {
      // Whoever asked has cancelled meanwhile.
      this.#over();
      this.#ctx.messages.release();
    }
  }

  #tellNewDisk(id: number, { uuid, deviceNumber }: NewDisk): void {
    const { messages, isLiteral } = this.#ctx;
    this.#isAdding = true;
    messages.send({ type: "newdisk", uuid, deviceNumber }, (ack) => {
      if (isLiteral) this.#onNewDiskTold(id, ack, !ack.isRefused);
      else this.#tryNoNewDev(id, ack);
    });
  }

  /** "Node 1 attempts EX lock on no-new-dev": whoever does not see the device has kept it. */
  #tryNoNewDev(id: number, ack: Acknowledgement): void {
    const { locks } = this.#ctx;
    locks.convert(NO_NEW_DEV, EX, { isNoQueue: true }, ({ status }) => {
      if (status === "granted")
        mustConvert(this.#ctx, NO_NEW_DEV, CR, {}, () =>
          this.#onNewDiskTold(id, ack, !ack.isRefused),
        );
      else if (status === "EAGAIN") this.#onNewDiskTold(id, ack, false);
      else this.#ctx.lose(`the lock ${NO_NEW_DEV} ended with ${status}`);
    });
  }

  #onNewDiskTold(id: number, { refusedBy }: Acknowledgement, isSeen: boolean): void {
    const ctx = this.#ctx;
    this.#isTold = true;
    if (isSeen) answer(ctx, id, OK);
    else {
      const who = nodeNames(ctx.membership, refusedBy);
      const verb = refusedBy.length > 1 ? "do" : "does";
      refuse(ctx, id, "CLUSTER_DEVICE_NOT_SEEN", `${who} ${verb} not see the new device`);
    }
    this.#serve();
  }
}
