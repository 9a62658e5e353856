/** Turns a connection into a TLS one, on the server's side, after STARTTLS was acknowledged. */
import type { Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";

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

/** The name in the client's certificate; null when there is none, or more than one. */
export function commonName(secured: TLSSocket): string | null {
  // Without a certificate the object is empty; a name that is there twice is a list.
  const subject: { readonly CN?: unknown } | undefined = secured.getPeerCertificate().subject;
  return typeof subject?.CN === "string" ? subject.CN : null;
}
