/**
 * mdadm's clustermd_tests/02r1_Manage_add. Add a disk to an array that lacks one, and to one that
 * is whole.
 */
import { suite } from "uvu";
import { addScenarios } from "../../helpers/clustermd-manage.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 02r1_Manage_add");

addScenarios(skipUnless(["etcd", "mdadm"], test), "raid1");

test.run();
