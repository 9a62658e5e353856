/** A CA and certificates that are good for both ends of a connection, made by openssl. */
import { join } from "node:path";
import { runCommand } from "../command.ts";

/** Files, PEM. */
export interface CertificateFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** One certificate for each name: CN and DNS name, loopback and these addresses. */
export async function makeCertificates(
  folder: string,
  names: readonly string[],
  hosts: readonly string[] = [],
): Promise<ReadonlyMap<string, CertificateFiles>> {
  const file = (name: string): string => join(folder, `${name}.pem`);
  const request = ["req", "-x509", ...NEW_KEY, "-days", "2"];
  const ca = file("ca");
  const addresses = ["127.0.0.1", ...hosts].map((host) => `IP:${host}`);
  await runCommand("openssl", [
    ...request,
    ...["-keyout", file("ca-key"), "-out", ca, "-subj", "/CN=fault runs"],
  ]);
  const made = new Map<string, CertificateFiles>();
  for (const name of names) {
    const [certificate, key] = [file(name), file(`${name}-key`)];
    const subject = ["-subj", `/CN=${name}`];
    const alternative = `subjectAltName=DNS:${name},DNS:localhost,${addresses.join(",")}`;
    const usage = "extendedKeyUsage=serverAuth,clientAuth";
    await runCommand("openssl", [
      ...request,
      ...["-CA", ca, "-CAkey", file("ca-key"), "-keyout", key, "-out", certificate],
      ...[...subject, "-addext", alternative, "-addext", usage],
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ]);
    made.set(name, { ca, certificate, key });
  }
  return made;
}
