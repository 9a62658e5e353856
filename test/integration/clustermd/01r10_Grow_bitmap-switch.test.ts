/**
 * mdadm's clustermd_tests/01r10_Grow_bitmap-switch. The bitmap of a running array goes and comes
 * back, as another kind and as the cluster's.
 */
import { suite } from "uvu";
import { bitmapSwitchScenarios } from "../../helpers/clustermd-grow.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 01r10_Grow_bitmap-switch");

bitmapSwitchScenarios(skipUnless(["etcd", "mdadm"], test), "raid10");

test.run();
