/** Certificates that are good for both ends of a connection, as a cluster makes them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createBoardCertificate, createClusterCa } from "../../../src/life/certificates.ts";

/** Files, PEM. */
export interface CertificateFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * One certificate for each name: CN and DNS name, loopback and these addresses. They are valid from
 * long ago: the clock of a board may be set back.
 */
export async function makeCertificates(
  folder: string,
  names: readonly string[],
  hosts: readonly string[] = [],
): Promise<ReadonlyMap<string, CertificateFiles>> {
  const write = (name: string, text: string): string => {
    const file = join(folder, `${name}.pem`);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const authority = await createClusterCa("runs");
  const ca = write("ca", authority.cert);
  const addresses = ["127.0.0.1", ...hosts];
  const made = new Map<string, CertificateFiles>();
  for (const name of names) {
    const { cert, key } = await createBoardCertificate(authority, { name, addresses });
    made.set(name, { ca, certificate: write(name, cert), key: write(`${name}-key`, key) });
  }
  return made;
}
