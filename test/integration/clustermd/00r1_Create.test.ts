/**
 * mdadm's clustermd_tests/00r1_Create. Create: with a resync, with `--assume-clean`, with a spare,
 * with a name.
 */
import { suite } from "uvu";
import { createScenarios } from "../../helpers/clustermd-create.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 00r1_Create");

createScenarios(skipUnless(["etcd", "mdadm"], test), "raid1");

test.run();
