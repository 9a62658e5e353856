/**
 * mdadm's clustermd_tests/00r10_Create. Create: with a resync, with `--assume-clean` on three
 * disks, with a spare, with a name.
 */
import { suite } from "uvu";
import { createScenarios } from "../../helpers/clustermd-create.ts";
import { skipUnless } from "../../helpers/skip.ts";

const test = suite("mdadm clustermd 00r10_Create");

createScenarios(skipUnless(["etcd", "mdadm"], test), "raid10");

test.run();
