/** Ports on loopback that nobody had a moment ago. */
import { once } from "node:events";
import { createServer } from "node:net";

/** A port that is free on every given address. */
export async function freePort(hosts: readonly string[] = ["127.0.0.1"]): Promise<number> {
  for (;;) {
    const [first = "127.0.0.1", ...rest] = hosts;
    const port = await tryPort(first, 0);
    const others = await Promise.all(rest.map((host) => tryPort(host, port)));
    if (port !== 0 && others.every((other) => other === port)) return port;
  }
}

/** The port that could be listened at; 0: not that one. */
async function tryPort(host: string, wanted: number): Promise<number> {
  const server = createServer();
  try {
    server.listen({ host, port: wanted });
    await once(server, "listening");
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  } catch {
    return 0;
  } finally {
    server.close();
  }
}
