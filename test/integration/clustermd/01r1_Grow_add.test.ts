/**
 * mdadm's clustermd_tests/01r1_Grow_add. Grow to three raid devices with a new disk, with spare
 * and new disk, with the spare.
 */
import { suite } from "uvu";
import { growAddScenarios } from "../../helpers/clustermd-grow.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 01r1_Grow_add");

growAddScenarios(skipUnless(["etcd", "mdadm"], test));

test.run();
