/** A board's exporter over a real etcd, and peers with certificates of its cluster. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoardKeys, clusterPrefix } from "../../src/cluster/store/board-keys.ts";
import { encodeBoard } from "../../src/cluster/store/board-record.ts";
import type { KeyValue, StoreOp } from "../../src/cluster/store/cluster-store.ts";
import { EtcdStore } from "../../src/cluster/store/etcd-store-client.ts";
import { encodeMember } from "../../src/cluster/store/member-records.ts";
import type { StoreClock } from "../../src/cluster/store/store-clock.ts";
import { StoreKeys } from "../../src/cluster/store/store-keys.ts";
import { silentLogger } from "../../src/common/log.ts";
import { FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import {
  type CertifiedKey,
  createBoardCertificate,
  createClusterCa,
} from "../../src/life/certificates.ts";
import type { ExporterState, SeenBoard } from "../../src/peers/exporter-view.ts";
import type { PeerSession } from "../../src/peers/member-name.ts";
import { PeerDevice } from "../../src/peers/peer-device.ts";
import type { PeerTls } from "../../src/peers/peer-ticket.ts";
import { ExporterHost } from "../../src/workers/exporter-host.ts";
import type { EtcdCluster } from "./etcd-process.ts";
import { eventually } from "./timeout.ts";

const CLUSTER = "attic";
const UUID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const DISK_BYTES = 8 * 1024 * 1024;
const WAIT_MS = 30_000;

export class ExporterBench {
  readonly faults = new FaultSwitch();
  readonly keys = new StoreKeys(`${clusterPrefix(CLUSTER)}arrays/${UUID}/`);
  /** As `uuid slot epoch`. */
  readonly ownFenced: string[] = [];
  /** Answers of the engine for its own use of the disks come at once. */
  isOwnDrained = true;
  state: ExporterState | null = null;
  /** How often the gate was told to be closed. */
  closings = 0;
  boards: readonly SeenBoard[] = [];
  readonly #etcd: EtcdCluster;
  readonly #store: EtcdStore;
  readonly #folder = mkdtempSync(join(tmpdir(), "exporter-"));
  readonly #ca: CertifiedKey;
  #host: ExporterHost | null = null;
  #handles = 0;

  private constructor(etcd: EtcdCluster, ca: CertifiedKey) {
    this.#etcd = etcd;
    this.#ca = ca;
    this.#store = new EtcdStore({ endpoints: etcd.endpoints });
  }

  /** The exporter of `board2` with one disk, as soon as it serves. */
  static async start(etcd: EtcdCluster): Promise<ExporterBench> {
    const bench = new ExporterBench(etcd, await createClusterCa(CLUSTER));
    const path = join(bench.#folder, "disk1.img");
    writeFileSync(path, "");
    truncateSync(path, DISK_BYTES);
    await bench.#startHost();
    bench.host.setDisks([
      {
        id: "disk1",
        path,
        kind: "file",
        sizeBytes: DISK_BYTES,
        logicalBlockSize: 512,
        faults: bench.faults.buffer,
      },
    ]);
    await bench.serves();
    return bench;
  }

  get host(): ExporterHost {
    if (this.#host === null) throw new Error("the exporter runs");
    return this.#host;
  }

  async #startHost(): Promise<void> {
    this.#host = await ExporterHost.start({
      cluster: CLUSTER,
      node: "board2",
      boot: randomUUID(),
      api: "",
      version: "1",
      endpoints: this.#etcd.endpoints,
      etcdTls: null,
      tls: await this.certificate("board2"),
      listen: { host: "127.0.0.1", port: 0 },
      advertise: null,
      seen: null,
      logger: silentLogger,
      onBoards: (boards) => {
        this.boards = boards;
      },
      onOwnFenced: (uuid, slot, epoch) => {
        this.ownFenced.push(`${uuid} ${slot} ${epoch}`);
        if (this.isOwnDrained) this.host.ownDrained(uuid, slot, epoch);
      },
      onState: (state) => {
        this.state = state;
        if (!state.isOpen) this.closings += 1;
      },
    });
  }

  async certificate(name: string, ca: CertifiedKey = this.#ca): Promise<PeerTls> {
    const { cert, key } = await createBoardCertificate(ca, { name, addresses: ["127.0.0.1"] });
    return { ca: this.#ca.cert, cert, key };
  }

  /** Resolves with the board's key when it serves its disk. */
  async serves(): Promise<SeenBoard> {
    return eventually("the exporter serves its disk", WAIT_MS, () => {
      const here = this.boards.find(({ isHere }) => isHere);
      return this.state?.isOpen === true && here?.record.disks.length === 1 ? here : undefined;
    });
  }

  /** A node of `board` takes the DLM slot, as joinTxn has it. */
  async join(slot: number, board: string): Promise<PeerSession> {
    const member = { node: board, boot: "b", life: "l", address: "", protocol: 1 };
    const epoch = await this.#put([
      [this.keys.member(slot), encodeMember(member)],
      [this.keys.slot(slot), "live"],
    ]);
    return { kind: "node", uuid: UUID, slot, epoch };
  }

  /** Another board lives, which serves nothing. */
  async liveBoard(name: string): Promise<PeerSession> {
    const record = { boot: "b", address: "", api: "", version: "1", disks: [], reaches: [] };
    const key = new BoardKeys(CLUSTER).board(name);
    return {
      kind: "board",
      name,
      epoch: await this.#put([[key, encodeBoard({ name, ...record })]]),
    };
  }

  /** The node's member key goes, as when its lease has ended; the revision. */
  async vanish(slot: number): Promise<number> {
    const success: StoreOp[] = [{ type: "delete", key: this.keys.member(slot) }];
    return this.#commit(success);
  }

  /** The board's own key goes, as when its lease has ended. */
  async expel(): Promise<void> {
    await this.#commit([{ type: "delete", key: new BoardKeys(CLUSTER).board("board2") }]);
  }

  async #put(pairs: readonly (readonly [string, string])[]): Promise<number> {
    return this.#commit(pairs.map(([key, value]) => ({ type: "put", key, value, lease: null })));
  }

  async #commit(success: readonly StoreOp[]): Promise<number> {
    const outcome = await this.#store.txn({ compares: [], success, failure: [] });
    if (outcome.type !== "committed") throw new Error(`the store says ${outcome.type}`);
    return outcome.revision;
  }

  /** Confirmations that the exporter's board has committed in this life. */
  async confirmations(): Promise<number> {
    const { found } = await this.#store.list(new BoardKeys(CLUSTER).heartbeat("board2"));
    return Number(found[0]?.value ?? 0);
  }

  /** The exporter's acknowledgement for a slot. */
  async fence(slot: number): Promise<KeyValue | undefined> {
    const { found } = await this.#store.list(this.keys.fence("board2", slot));
    return found[0];
  }

  /** Resolves with the acknowledged epoch when there is one. */
  async acknowledged(slot: number): Promise<number> {
    const found = await eventually(`the end of slot ${slot} is acknowledged`, WAIT_MS, () =>
      this.fence(slot),
    );
    return Number(found.value);
  }

  /** The disk, as `peer` opens it in this session. */
  async open(
    session: PeerSession,
    peer: string,
    options: {
      readonly mode?: "read" | "write";
      readonly tls?: PeerTls;
      readonly disk?: string;
      readonly life?: number;
      /** Of what stands between; else the exporter's own. */
      readonly port?: number;
      readonly clock?: StoreClock;
    } = {},
  ): Promise<PeerDevice> {
    const here = this.boards.find(({ isHere }) => isHere);
    this.#handles += 1;
    const [host = "", port = ""] = this.host.address.split(":");
    const { mode = "write", disk = "disk1", life = here?.epoch ?? 0 } = options;
    const ticket = {
      board: "board2",
      disk,
      life,
      host,
      port: options.port ?? Number(port),
      sizeBytes: DISK_BYTES,
      logicalBlockSize: 512,
    };
    const handle = `${peer}.bootboot.main.${this.#handles}`;
    const tls = options.tls ?? (await this.certificate(peer));
    return PeerDevice.open(ticket, { tls, session, handle }, mode, options.clock);
  }

  async stop(): Promise<void> {
    await this.#host?.close();
    await this.#store.close();
    rmSync(this.#folder, { recursive: true });
  }
}
