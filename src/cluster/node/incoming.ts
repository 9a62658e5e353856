/** Messages of other nodes: what the array has to carry out before they are acknowledged. */
import { assertNever } from "../../common/assert.ts";
import type { ClusterNotice } from "../../raid/cluster-port.ts";
import { CR, NL } from "../dlm/lock-mode.ts";
import { toBitmapSlot } from "../dlm/slot-table.ts";
import { NO_NEW_DEV } from "../md/lock-names.ts";
import type { ClusterMessage, Envelope, NewDisk, Resyncing } from "../md/md-message.ts";
import { isOver } from "./membership.ts";
import { messageName } from "./message-desk.ts";
import { mustConvert, type NodeContext, note, tell } from "./node-context.ts";

/** Processes it, then says so. */
export const process = (ctx: NodeContext, { origin, message, seq }: Envelope): void => {
  if (message.type === "unknown") return;
  const name = messageName(message.type);
  const range = message.type === "resyncing" ? `: sectors ${message.lo}-${message.hi}` : "";
  note(ctx, "message", `${name} ${seq} of node ${origin.slot}${range}`);
  if (origin.slot > ctx.nodes) {
    // Whoever sends knows another array: what it asks can be neither done nor acknowledged.
    const slot = toBitmapSlot(origin.slot);
    tell(ctx, { type: "bad-slot", slot, message: name });
    ctx.lose(`${name} of slot ${slot}, but the array has ${ctx.nodes} bitmaps`);
    return;
  }
  carryOut(ctx, origin, message);
};

const done = (ctx: NodeContext, isRefused = false): void =>
  ctx.emit({ type: "exchange", call: { type: "processed", isRefused } });

const carryOut = (ctx: NodeContext, origin: Envelope["origin"], message: ClusterMessage): void => {
  switch (message.type) {
    case "metadata-updated":
      rearm(ctx, () =>
        ctx.notices.tell(message, () => {
          ctx.restsFor = null;
          done(ctx);
          ctx.messages.restIsOver();
        }),
      );
      break;
    case "resyncing":
      resyncing(ctx, origin, message);
      break;
    case "newdisk":
      newDisk(ctx, message);
      break;
    case "bitmap-needs-sync":
      // Its slot will be dead in the store, which is what the recovery goes by. BEFORE it leaves,
      // and answers writes that failed on some members, nobody balances reads.
      ctx.doubt(origin);
      done(ctx);
      break;
    case "bitmap-resize": {
      ctx.messages.othersRest();
      // At rest a slot to recover means that the changing node is gone: the array would start anew.
      if (ctx.takesAbsent) {
        done(ctx, true);
        break;
      }
      const notice = { ...message, slot: toBitmapSlot(origin.slot) };
      ctx.restsFor = origin;
      ctx.notices.tell(notice, (isDone) => {
        if (!isDone) ctx.restsFor = null;
        done(ctx, !isDone);
      });
      break;
    }
    case "remove":
    case "re-add":
    case "change-capacity":
      pass(ctx, message);
      break;
    default:
      assertNever(message, "message");
  }
};

const pass = (ctx: NodeContext, notice: ClusterNotice): void =>
  ctx.notices.tell(notice, () => done(ctx));

/** Whatever a NEWDISK began is over: everybody holds `no-new-dev` again. */
const rearm = (ctx: NodeContext, then: () => void): void => {
  if (ctx.isLiteral || ctx.locks.mode(NO_NEW_DEV) === CR) then();
  else mustConvert(ctx, NO_NEW_DEV, CR, {}, then);
};

/** "Other nodes drop lock on no-new-dev if device is found." */
const newDisk = (ctx: NodeContext, { uuid, deviceNumber }: NewDisk): void =>
  ctx.notices.tell({ type: "new-disk", uuid, deviceNumber }, (isFound) => {
    if (ctx.isLiteral || !isFound) done(ctx, !isFound);
    else mustConvert(ctx, NO_NEW_DEV, NL, {}, () => done(ctx));
  });

/** A range of a session that is over is nobody's: nothing is copied there any more. */
const resyncing = (ctx: NodeContext, origin: Envelope["origin"], range: Resyncing): void => {
  if (isOver(ctx.membership, origin)) done(ctx);
  else suspend(ctx, origin, range, () => done(ctx));
};

/** Has the array hold its writes in this range instead of the slot's last one. */
export const suspend = (
  ctx: NodeContext,
  { slot, epoch }: Envelope["origin"],
  { lo, hi }: Pick<Resyncing, "lo" | "hi">,
  then: () => void,
): void => {
  if (hi === 0) ctx.ranges.delete(slot);
  else ctx.ranges.set(slot, { lo, hi, epoch });
  ctx.notices.tell({ type: "resyncing", slot: toBitmapSlot(slot), lo, hi }, then);
};
