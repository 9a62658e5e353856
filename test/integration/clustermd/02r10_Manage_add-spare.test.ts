/** mdadm's clustermd_tests/02r10_Manage_add-spare. Add a spare to an array without and with one. */
import { suite } from "uvu";
import { addSpareScenarios } from "../../helpers/clustermd-manage.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 02r10_Manage_add-spare");

addSpareScenarios(skipUnless(["etcd", "mdadm"], test), "raid10");

test.run();
