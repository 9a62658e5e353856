/**
 * A process that joins, holds EX on `r` and confirms; told to write, it says what became of it.
 * Arguments: endpoints with commas, prefix, lease in ms.
 */
import { DLM_LKF_CONVERT, DLM_LKF_VALBLK } from "../../src/cluster/dlm/lock-flags.ts";
import { EX } from "../../src/cluster/dlm/lock-mode.ts";
import { EtcdStore } from "../../src/cluster/store/etcd-store-client.ts";
import { MONOTONIC_CLOCK } from "../../src/cluster/store/monotonic-clock-driver.ts";
import { block, LockMember, lockCall } from "./lock-member.ts";

const [endpoints = "", prefix = "", leaseMs = ""] = process.argv.slice(2);
const store = new EtcdStore({ endpoints: endpoints.split(",") });
const member = await LockMember.join({
  store,
  prefix,
  node: "stuck",
  clock: MONOTONIC_CLOCK,
  leaseMs: Number(leaseMs),
  confirmMs: 200,
});
await member.lock("r", EX);
process.on("message", () => {
  const flags = DLM_LKF_CONVERT | DLM_LKF_VALBLK;
  const call = lockCall(EX, { flags, lvb: block(666) });
  member.locks.call("r", call, ({ type }) => {
    process.send?.({ type, isExpelled: member.isExpelled });
    process.disconnect();
    member.die();
    void store.close();
  });
});
process.send?.({ slot: member.slot, epoch: member.session.session.epoch });
