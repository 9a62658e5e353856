/**
 * A process that writes arrays and events until it is killed: `node killed-writer.ts DATABASE`.
 * Prints the number of each array once it is stored.
 */
import { writeSync } from "node:fs";
import { openStore } from "../../src/store/store.ts";

const [path = ""] = process.argv.slice(2);
const store = openStore({ path });
for (let number = 1; ; number += 1) {
  store.events.append({
    time: number,
    type: "array.created",
    severity: "info",
    subject: `/api/v1/arrays/${number}`,
    message: `array ${number}`,
    mdadmEvent: null,
    details: {},
  });
  store.arrays.put({
    uuid: `array-${number}`,
    name: `md${number}`,
    desiredState: "started",
    readOnly: false,
    memberPaths: [],
    lastStatus: "x".repeat(300),
    syncSpeedMin: null,
    syncSpeedMax: null,
    createdAt: number,
    updatedAt: number,
  });
  writeSync(1, `${number}\n`);
}
