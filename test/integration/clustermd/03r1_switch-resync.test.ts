/** mdadm's clustermd_tests/03r1_switch-resync. The node that resyncs is stopped. */
import { suite } from "uvu";
import { switchResyncScenarios } from "../../helpers/clustermd-switch.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 03r1_switch-resync");

switchResyncScenarios(skipUnless(["etcd", "mdadm"], test), "raid1");

test.run();
