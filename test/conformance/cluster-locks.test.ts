/** Locks and membership over the embedded store, the fake etcd and a real one. */
import { clusterLocksSuite } from "./cluster-locks.ts";
import { embedded, fake, REAL, real } from "./cluster-store-factories.ts";

clusterLocksSuite("cluster locks: embedded", embedded);
clusterLocksSuite("cluster locks: fake etcd", fake);
clusterLocksSuite("cluster locks: etcd", real, REAL);
