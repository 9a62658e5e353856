/**
 * Tells one story of lab-our-stories.ts in a process of its own, and kills it:
 * `node lab-told-process.ts NAME FOLDER`. Prints what it leaves behind as JSON first. It dies in
 * the middle of writes, which change no content.
 */
import { writeSync } from "node:fs";
import { EngineBench } from "./engine-bench.ts";
import { OUR_STORIES } from "./lab-our-stories.ts";
import { KIB, MdScenario, MIB } from "./md-scenario.ts";

const WRITES_BEFORE = 30;

const [name = "", folder = ""] = process.argv.slice(2);
const story = OUR_STORIES.find((other) => other.name === name);
if (story === undefined) throw new Error(`there is no story ${name}`);
const md = new MdScenario(await EngineBench.start(folder));
const { members } = await story.tell(md);
writeSync(1, JSON.stringify({ members, sha256: md.sha256 }));
let writes = 0;
const writeOn = async (offset: number): Promise<void> => {
  for (;;) {
    await md.rewrite(offset, 64 * KIB);
    writes++;
    if (writes === WRITES_BEFORE) process.kill(process.pid, "SIGKILL");
  }
};
await Promise.all([0, 1, 2].map((place) => writeOn(place * MIB)));
