/**
 * A board that serves its disks to peers, as far as their end needs one: an NBD server with TLS
 * over memory, and a directory that takes member names. It admits whoever asks for its life.
 */
import {
  type CertifiedKey,
  createBoardCertificate,
  createClusterCa,
} from "../../src/life/certificates.ts";
import type { ExportBackend, ExportDirectory } from "../../src/nbd/export-backend.ts";
import { NbdServer } from "../../src/nbd/server-driver.ts";
import type { ServerLimits } from "../../src/nbd/server-limits.ts";
import { decodeMemberName } from "../../src/peers/member-name.ts";
import type { PeerAccess, PeerTicket } from "../../src/peers/peer-ticket.ts";
import { exportEntry } from "./memory-backend.ts";

/** A cluster's authority and the certificates of two of its boards. */
export interface BoardCertificates {
  readonly ca: CertifiedKey;
  readonly of: Readonly<Record<"board1" | "board2", CertifiedKey>>;
}

/** Another cluster's at each call. */
export const makeBoardCertificates = async (): Promise<BoardCertificates> => {
  const ca = await createClusterCa("t");
  const board1 = await createBoardCertificate(ca, { name: "board1", addresses: [] });
  const board2 = await createBoardCertificate(ca, { name: "board2", addresses: [] });
  return { ca, of: { board1, board2 } };
};

let made: Promise<BoardCertificates> | null = null;

/** Made once per process. */
const boardCertificates = (): Promise<BoardCertificates> => {
  made ??= makeBoardCertificates();
  return made;
};

export interface MemberServerOptions {
  /** By disk id; what is asked for by `read` is served read-only. */
  readonly disks: Readonly<Record<string, ExportBackend>>;
  readonly limits?: Partial<ServerLimits>;
  readonly certificates?: BoardCertificates;
}

/** The board `board2`. */
export class MemberServer {
  readonly #nbd: NbdServer;
  readonly #certificates: BoardCertificates;
  #disks: Readonly<Record<string, ExportBackend>>;
  /** Names asked for, oldest first. */
  readonly asked: string[] = [];
  /** Board epoch: names of another life are not known. */
  life = 7;
  /** True: who asks waits, until `admit`. */
  isHolding = false;
  #handles = 0;

  private constructor(options: MemberServerOptions, certificates: BoardCertificates) {
    this.#disks = options.disks;
    this.#certificates = certificates;
    const { cert, key } = certificates.of.board2;
    const tls = { certificate: cert, key, clientAuthority: certificates.ca.cert };
    this.#nbd = new NbdServer(this.#directory(), { tls, limits: options.limits ?? {} });
  }

  static async start(options: MemberServerOptions): Promise<MemberServer> {
    const server = new MemberServer(options, options.certificates ?? (await boardCertificates()));
    await server.#nbd.listen({ host: "127.0.0.1", port: 0 });
    return server;
  }

  get port(): number {
    return this.#nbd.addresses[0]?.port ?? 0;
  }

  get clients(): number {
    return this.#nbd.clients().length;
  }

  /** How a peer opens `disk` in this life of the board. */
  ticket(disk: string, port = this.port): PeerTicket {
    const sizeBytes = this.#disks[disk]?.sizeBytes ?? 0;
    const { life } = this;
    const board = "board2";
    return { board, disk, life, host: "127.0.0.1", port, sizeBytes, logicalBlockSize: 512 };
  }

  /** As which board1 asks; another handle each time. */
  access(): PeerAccess {
    const { ca, of } = this.#certificates;
    this.#handles += 1;
    return {
      tls: { ca: ca.cert, ...of.board1 },
      session: { kind: "node", uuid: "0".repeat(32), slot: 1, epoch: 5 },
      handle: `board1.0a1b2c3d.array.${this.#handles}`,
    };
  }

  /** Another back end for a disk, for connections made from now on. */
  serve(disk: string, backend: ExportBackend): void {
    this.#disks = { ...this.#disks, [disk]: backend };
  }

  /** Whoever waits is let in, or not. */
  admit(): void {
    this.isHolding = false;
    this.#nbd.exportsChanged();
  }

  /** Cuts all clients off at once. */
  kick(): void {
    for (const { id } of this.#nbd.clients()) this.#nbd.kick(id);
  }

  close(): Promise<void> {
    return this.#nbd.close();
  }

  #directory(): ExportDirectory {
    const isKnown = (text: string): boolean => {
      const name = decodeMemberName(text);
      return name?.life === this.life && this.#disks[name.disk] !== undefined;
    };
    return {
      list: () => [],
      isComing: (text) => this.isHolding && isKnown(text),
      find: (text) => {
        this.asked.push(text);
        if (this.isHolding || !isKnown(text)) return null;
        const name = decodeMemberName(text);
        const backend = name === null ? undefined : this.#disks[name.disk];
        if (name === null || backend === undefined) return null;
        const served = name.mode === "read" ? readOnlyOver(backend) : backend;
        return exportEntry(served, {
          name: text,
          tlsRequired: true,
          contexts: ["base:allocation"],
        });
      },
    };
  }
}

/** The same back end, which takes no writes. */
const readOnlyOver = (backend: ExportBackend): ExportBackend =>
  new Proxy(backend, {
    get: (target, key) => {
      if (key === "readOnly") return true;
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
