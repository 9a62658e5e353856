/** Ports on loopback that nobody had a moment ago. */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below those that the system gives to connections: these might take it before it is used. */
const PORTS = [16_000, 32_000] as const;

/** A port that is free on every given address. */
export async function freePort(hosts: readonly string[] = ["127.0.0.1"]): Promise<number> {
  for (;;) {
    const port = randomInt(...PORTS);
    const isFree = await Promise.all(hosts.map((host) => isFreeAt(host, port)));
    if (!isFree.includes(false)) return port;
  }
}

async function isFreeAt(host: string, port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ host, port });
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
