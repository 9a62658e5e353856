/**
 * The certificates of a cluster: its CA, one certificate per board, and the list of those that are
 * refused. All keys are ECDSA P-256. Boards have no clock that survives a power cut, so nothing
 * here ends by time: certificates are valid from 1970 on and have no end, and a board that must go
 * is put on the list.
 *
 * A board's certificate serves both ends of a connection: the client of etcd and of its peers, and
 * the server of its own disks and its own etcd, whose gateway is a client of itself.
 */
import {
  createHash,
  generateKeyPairSync,
  randomBytes,
  webcrypto,
  X509Certificate,
} from "node:crypto";
import { isIP } from "node:net";
import { CodedError } from "../common/errors.ts";

/** PEM texts of a certificate and its private key. */
export interface CertifiedKey {
  readonly cert: string;
  readonly key: string;
}

/** PEM texts of a key pair that has no certificate yet. */
export interface KeyPair {
  readonly publicKey: string;
  readonly key: string;
}

/** Whom a certificate names. */
export interface CertificateSubject {
  /** Board name: subject CN and first DNS name. */
  readonly name: string;
  /** Further IP addresses and DNS names under which the board is reached. */
  readonly addresses: readonly string[];
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const NOT_BEFORE = new Date("1970-01-01T00:00:00Z");
/** RFC 5280 4.1.2.5: no well-defined end. */
const NOT_AFTER = new Date("9999-12-31T23:59:59Z");
const SERIAL_BYTES = 16;
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const ADDRESSES_MAX = 32;

/** Loaded when first used: most starts of a board make no certificate. */
const loadX509 = async (): Promise<typeof import("@peculiar/x509")> => {
  await import("reflect-metadata");
  return await import("@peculiar/x509");
};

/** A new key pair. */
export const createKeyPair = (): KeyPair => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return { publicKey, key: privateKey };
};

/** What follows the cluster's name in its CA's. */
const CA_WORDS = " cluster CA";

/** The cluster whose CA this certificate (PEM) is; null: it is none. */
export const clusterOfCa = (ca: string): string | null => {
  try {
    const name = /^CN=(.+)$/m.exec(new X509Certificate(ca).subject)?.[1] ?? "";
    return name.endsWith(CA_WORDS) ? name.slice(0, -CA_WORDS.length) : null;
  } catch {
    return null;
  }
};

/** A CA for a new cluster, valid for ever. */
export const createClusterCa = async (cluster: string): Promise<CertifiedKey> => {
  const x509 = await loadX509();
  const pair = createKeyPair();
  const keys = { publicKey: await spki(pair.publicKey), privateKey: await pkcs8(pair.key) };
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: [`${cluster}${CA_WORDS}`] }],
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pemOf(certificate.toString("pem")), key: pair.key };
};

/**
 * A certificate for the public key (PEM), signed by the CA.
 * Errors: LIFE_BAD_REQUEST for a subject that no certificate may name.
 */
export const issueCertificate = async (
  ca: CertifiedKey,
  subject: CertificateSubject,
  publicKey: string,
): Promise<string> => {
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(ca.cert);
  const key = await spki(publicKey);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    issuer: issuer.subjectName,
    subject: [{ CN: [subject.name] }],
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: ALGORITHM,
    publicKey: key,
    signingKey: await pkcs8(ca.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([SERVER_AUTH, CLIENT_AUTH]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(subject)),
      await x509.SubjectKeyIdentifierExtension.create(key),
      await x509.AuthorityKeyIdentifierExtension.create(
        await spki(issuer.publicKey.toString("pem")),
      ),
    ],
  });
  return pemOf(certificate.toString("pem"));
};

/** A new key with a certificate of the CA: for a board whose CA is at hand. */
export const createBoardCertificate = async (
  ca: CertifiedKey,
  subject: CertificateSubject,
): Promise<CertifiedKey> => {
  const { publicKey, key } = createKeyPair();
  return { cert: await issueCertificate(ca, subject, publicKey), key };
};

/** A request for a certificate (PKCS #10, PEM): it proves that the asker has the private key. */
export const createRequest = async (pair: KeyPair, name: string): Promise<string> => {
  const x509 = await loadX509();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys: { publicKey: await spki(pair.publicKey), privateKey: await pkcs8(pair.key) },
    signingAlgorithm: ALGORITHM,
  });
  return pemOf(request.toString("pem"));
};

/**
 * The public key (PEM) of a request whose signature is right.
 * Errors: LIFE_BAD_REQUEST.
 */
export const requestedKey = async (text: string): Promise<string> => {
  const x509 = await loadX509();
  try {
    const request = new x509.Pkcs10CertificateRequest(text);
    const key = request.publicKey.toString("pem");
    // Imported as P-256 before anything else is believed: no other key gets a certificate.
    await spki(key);
    if (await request.verify()) return pemOf(key);
  } catch (cause) {
    throw badRequest("this is no certificate request with a P-256 key", cause);
  }
  throw badRequest("the certificate request is not signed by its own key");
};

/** The list of refused certificates (CRL, DER), signed by the CA. `serials` as serialOf tells. */
export const createRefusedList = async (
  ca: CertifiedKey,
  serials: readonly string[],
): Promise<Buffer> => {
  const x509 = await loadX509();
  const list = await x509.X509CrlGenerator.create({
    issuer: new x509.X509Certificate(ca.cert).subjectName,
    thisUpdate: NOT_BEFORE,
    nextUpdate: NOT_AFTER,
    entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: NOT_BEFORE })),
    signingAlgorithm: ALGORITHM,
    signingKey: await pkcs8(ca.key),
  });
  return Buffer.from(list.rawData);
};

/** SHA-256 of a certificate's DER form, 64 hex digits: what people and tokens compare. */
export const fingerprintOf = (pem: string): string =>
  createHash("sha256").update(derOf(pem)).digest("hex");

/** Public key of a certificate, PEM. */
export const publicKeyOf = (pem: string): string =>
  new X509Certificate(pem).publicKey.export({ type: "spki", format: "pem" }).toString();

/** Serial number of a certificate, hex digits in capitals. */
export const serialOf = (pem: string): string => new X509Certificate(pem).serialNumber;

/** A certificate's DER form. */
export const derOf = (pem: string): Buffer =>
  Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");

const alternativeNames = ({ name, addresses }: CertificateSubject) => {
  const others = [...new Set(addresses)].filter((address) => address !== name);
  if (others.length > ADDRESSES_MAX) throw badRequest(`more than ${ADDRESSES_MAX} addresses`);
  return [name, ...others].map((value) => ({
    type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const),
    value,
  }));
};

const badRequest = (message: string, cause?: unknown): CodedError =>
  new CodedError("LIFE_BAD_REQUEST", message, {
    remedy: "ask with the verbs of the same version of satsuma",
    cause,
  });

/** Positive, never with a leading zero byte: everybody writes it the same way. */
const newSerial = (): string => {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
};

const spki = (pem: string): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey("spki", derOf(pem), ALGORITHM, true, ["verify"]);

const pkcs8 = (pem: string): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey("pkcs8", derOf(pem), ALGORITHM, false, ["sign"]);

/** As OpenSSL writes it: with an end of line. */
const pemOf = (text: string): string => `${text.trim()}\n`;
