/** mdadm's clustermd_tests/03r10_switch-resync. The node that resyncs is stopped. */
import { suite } from "uvu";
import { switchResyncScenarios } from "../../helpers/clustermd-switch.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 03r10_switch-resync");

switchResyncScenarios(skipUnless(["etcd", "mdadm"], test), "raid10");

test.run();
