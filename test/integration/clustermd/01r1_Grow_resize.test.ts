/**
 * mdadm's clustermd_tests/01r1_Grow_resize. Grow to the largest size. mdadm then cuts the content
 * off; here that is refused.
 */
import { suite } from "uvu";
import { resizeScenarios } from "../../helpers/clustermd-grow.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 01r1_Grow_resize");

resizeScenarios(skipUnless(["etcd", "mdadm"], test), "raid1");

test.run();
