/**
 * mdadm's clustermd_tests/01r10_Grow_resize. Grow to the largest size. mdadm then cuts the content
 * off and reshapes; both are refused here.
 */
import { suite } from "uvu";
import { resizeScenarios } from "../../helpers/clustermd-grow.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 01r10_Grow_resize");

resizeScenarios(skipUnless(["etcd", "mdadm"], test), "raid10");

test.run();
