/** mdadm's clustermd_tests/03r1_switch-recovery. The node that rebuilds is stopped. */
import { suite } from "uvu";
import { switchRecoveryScenarios } from "../../helpers/clustermd-switch.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 03r1_switch-recovery");

switchRecoveryScenarios(skipUnless(["etcd", "mdadm"], test), "raid1");

test.run();
