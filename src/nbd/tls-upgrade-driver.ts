/** Turns a connection into a TLS one, on the server's side, after STARTTLS was acknowledged. */
import type { Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import type { ClientCertificate } from "./export-backend.ts";

/** A certificate for NBD over TLS, as PEM texts. */
export interface NbdTls {
  readonly certificate: string;
  readonly key: string;
  /** Clients must show a certificate of this authority; null: any client may attach. */
  readonly clientAuthority: string | null;
}

/**
 * Runs the TLS handshake over `socket`. `established` gets the encrypted socket, or `failed` the
 * reason; then `socket` is closed. Exactly one of them is called, unless the socket closes first.
 */
export function upgradeToTls(
  socket: Socket,
  tls: NbdTls,
  timeoutMs: number,
  established: (secured: TLSSocket) => void,
  failed: (reason: string) => void,
): void {
  // A server of its own per connection: its events name no socket, and it never listens.
  const server = createServer({
    cert: tls.certificate,
    key: tls.key,
    minVersion: "TLSv1.2",
    handshakeTimeout: timeoutMs,
    allowHalfOpen: true,
    ...(tls.clientAuthority === null
      ? {}
      : { ca: tls.clientAuthority, requestCert: true, rejectUnauthorized: true }),
  });
  server.once("secureConnection", established);
  server.once("tlsClientError", (error) => {
    failed(`TLS: ${error.message}`);
    socket.destroy();
  });
  server.emit("connection", socket);
}

/** Null when the client has no certificate, or one with no name or more than one. */
export function clientCertificate(secured: TLSSocket): ClientCertificate | null {
  // Without a certificate the object is empty; a name that is there twice is a list.
  const { subject, serialNumber }: { subject?: { CN?: unknown }; serialNumber?: string } =
    secured.getPeerCertificate();
  const name = subject?.CN;
  return typeof name === "string" ? { name, serial: serialNumber ?? "" } : null;
}
