/** Must be rejected: a skip without a reason. */
import { suite } from "uvu";

const test = suite("canary/bare-skip");

test("passes", () => undefined);

test.skip("is skipped, nobody knows why", () => undefined);

test.run();
