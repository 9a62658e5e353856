/**
 * Tells one story of lab-our-stories.ts in a process of its own, and kills it:
 * `node lab-told-process.ts NAME FOLDER`. Prints what it leaves behind as JSON first.
 */
import { writeSync } from "node:fs";
import { EngineBench } from "./engine-bench.ts";
import { OUR_STORIES } from "./lab-our-stories.ts";
import { MdScenario } from "./md-scenario.ts";

const [name = "", folder = ""] = process.argv.slice(2);
const story = OUR_STORIES.find((other) => other.name === name);
if (story === undefined) throw new Error(`there is no story ${name}`);
const md = new MdScenario(await EngineBench.start(folder));
const { members } = await story.tell(md);
writeSync(1, JSON.stringify({ members, sha256: md.sha256 }));
process.kill(process.pid, "SIGKILL");
