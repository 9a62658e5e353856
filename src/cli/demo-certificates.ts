/** The certificates of a demo's boards and etcd, made once, in a folder for its owner alone. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { makeFolder } from "../hal/linux/make-folder.ts";
import {
  type CertifiedKey,
  createBoardCertificate,
  createClusterCa,
} from "../life/certificates.ts";
import type { EtcdFiles } from "./etcd-process.ts";

const ADDRESSES = ["127.0.0.1", "localhost"];

/** The key last: a pair is whole when its key is there. */
const write = (base: string, { cert, key }: CertifiedKey): void => {
  writeFileSync(`${base}.pem`, cert, { mode: 0o600 });
  writeFileSync(`${base}.key`, key, { mode: 0o600 });
};

const read = (base: string): CertifiedKey => ({
  cert: readFileSync(`${base}.pem`, "utf8"),
  key: readFileSync(`${base}.key`, "utf8"),
});

/** Makes what is missing for these names; gives the files of each. */
export async function ensureCertificates(
  directory: string,
  cluster: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, EtcdFiles>> {
  const folder = path.join(directory, "certificates");
  makeFolder(folder);
  const authority = path.join(folder, "authority");
  if (!existsSync(`${authority}.key`)) write(authority, await createClusterCa(cluster));
  const ca = read(authority);
  const files = new Map<string, EtcdFiles>();
  for (const name of names) {
    const base = path.join(folder, name);
    if (!existsSync(`${base}.key`))
      write(base, await createBoardCertificate(ca, { name, addresses: ADDRESSES }));
    files.set(name, {
      authority: `${authority}.pem`,
      certificate: `${base}.pem`,
      key: `${base}.key`,
    });
  }
  return files;
}
