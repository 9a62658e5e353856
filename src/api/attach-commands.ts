/**
 * Commands that attach an export to a client, ready to paste. nbd-client and systemd attach it as a
 * block device (kernel module nbd); the others work without the kernel.
 *
 * Source: nbd-client(8), nbdinfo(1), nbdcopy(1), qemu(1) block drivers, systemd.unit(5).
 */

import type { AttachResource } from "./schemas/export.ts";

type Item = AttachResource["items"][number];

/** Where an export is reached: one transport. */
export type AttachPlace =
  | { readonly transport: "unix"; readonly uri: string; readonly socketPath: string }
  | {
      readonly transport: "tcp";
      readonly uri: string;
      readonly host: string;
      readonly port: number;
    };

/** `word` for a shell, quoted when it has to be. */
export function shellWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

const clientArguments = (place: AttachPlace, name: string): string => {
  const address =
    place.transport === "unix"
      ? `-unix ${shellWord(place.socketPath)}`
      : `${shellWord(place.host)} ${place.port}`;
  return `${address} -N ${shellWord(name)}`;
};

/** Four connections where a client allows it; `-persist` survives a restart of the board. */
const clientCommand = (place: AttachPlace, name: string, device: string): string =>
  `nbd-client ${clientArguments(place, name)} ${device} -connections 4 -persist -timeout 60`;

const unitText = (place: AttachPlace, name: string): string =>
  [
    "[Unit]",
    `Description=Satsuma export ${name}`,
    "After=network-online.target",
    "Wants=network-online.target",
    "",
    "[Service]",
    "Type=oneshot",
    "RemainAfterExit=yes",
    "ExecStartPre=/sbin/modprobe nbd",
    `ExecStart=/sbin/${clientCommand(place, name, "/dev/nbd0")}`,
    "ExecStop=/sbin/nbd-client -d /dev/nbd0",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ].join("\n");

/** The commands for one place, one per target. */
export function attachItems(place: AttachPlace, name: string): Item[] {
  const uri = shellWord(place.uri);
  const { transport } = place;
  return [
    {
      target: "nbd-client",
      transport,
      title: "Linux block device /dev/nbd0",
      text: `sudo modprobe nbd\nsudo ${clientCommand(place, name, "/dev/nbd0")}`,
    },
    {
      target: "qemu",
      transport,
      title: "QEMU drive",
      text: `qemu-system-x86_64 -drive driver=raw,if=virtio,file=${uri}`,
    },
    { target: "nbdinfo", transport, title: "Show the export", text: `nbdinfo ${uri}` },
    {
      target: "nbdcopy",
      transport,
      title: "Copy the content to a file",
      text: `nbdcopy --progress ${uri} ${shellWord(`${name}.img`)}`,
    },
    {
      target: "systemd",
      transport,
      title: `Unit /etc/systemd/system/satsuma-${name}.service`,
      text: unitText(place, name),
    },
  ];
}
