/**
 * mdadm's clustermd_tests/02r1_Manage_re-add. Re-add. mdadm looks at no data, and misses that
 * Linux loses what the other node wrote.
 */
import { suite } from "uvu";
import { reAddScenarios } from "../../helpers/clustermd-manage.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 02r1_Manage_re-add");

reAddScenarios(skipUnless(["etcd", "mdadm"], test), "raid1");

test.run();
