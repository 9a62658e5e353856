/** Locks and membership over the embedded store, the fake etcd and a real one. */
import { clusterLocksSuite } from "./cluster-locks.ts";
import { embedded, fake, REAL, real } from "./cluster-store-factories.ts";

clusterLocksSuite("cluster locks: embedded", embedded).run();
clusterLocksSuite("cluster locks: fake etcd", fake).run();
clusterLocksSuite("cluster locks: etcd", real, REAL).run();
