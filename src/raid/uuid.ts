/**
 * Text forms of md's 16-byte UUIDs. mdadm prints the bytes in order as four groups of eight hex
 * digits joined by colons; the kernel (DLM lockspace, uevents) prints the same bytes as
 * 8-4-4-4-12 with dashes, lower case. There are no RFC 4122 version bits.
 */

const UUID_BYTES = 16;

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** mdadm's form: `00112233:44556677:8899aabb:ccddeeff`. `uuid` holds 16 bytes. */
export function uuidToMdadmText(uuid: Uint8Array): string {
  const digits = uuidToHex(uuid);
  const group = (index: number): string => digits.slice(8 * index, 8 * index + 8);
  return `${group(0)}:${group(1)}:${group(2)}:${group(3)}`;
}

/** The kernel's form: `00112233-4455-6677-8899-aabbccddeeff`. `uuid` holds 16 bytes. */
export function uuidToKernelText(uuid: Uint8Array): string {
  const digits = uuidToHex(uuid);
  const part = (from: number, to: number): string => digits.slice(from, to);
  return `${part(0, 8)}-${part(8, 12)}-${part(12, 16)}-${part(16, 20)}-${part(20, 32)}`;
}

/**
 * Reads either form, or any other grouping of 32 hex digits by `:`, `-`, `.` or spaces, as mdadm
 * does. Null when it is no UUID.
 */
export function parseUuid(text: string): Uint8Array | null {
  const digits = text.replace(/[:\-. ]/g, "");
  if (!/^[0-9a-fA-F]{32}$/.test(digits)) return null;
  const uuid = new Uint8Array(UUID_BYTES);
  for (let index = 0; index < UUID_BYTES; index += 1) {
    uuid[index] = Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16);
  }
  return uuid;
}

/** 32 hexadecimal digits. */
export function uuidToHex(uuid: Uint8Array): string {
  let text = "";
  for (let index = 0; index < UUID_BYTES; index += 1) text += HEX[uuid[index] ?? 0];
  return text;
}
