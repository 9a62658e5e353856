/** The embedded store, the fake etcd and a real one keep the contract of the port. */
import { clusterStoreSuite } from "./cluster-store.ts";
import { embedded, fake, REAL, real } from "./cluster-store-factories.ts";

clusterStoreSuite("cluster store: embedded", embedded).run();
clusterStoreSuite("cluster store: fake etcd", fake).run();
clusterStoreSuite("cluster store: etcd", real, REAL).run();
