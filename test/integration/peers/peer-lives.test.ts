/** A board that leaves its cluster without a word: what is open of it is given up at once. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { BlockDevice } from "../../../src/hal/block-device.ts";
import { openStore } from "../../../src/workers/open-store.ts";
import { peerLinks } from "../../../src/workers/peer-links.ts";
import { PeerLivesEar, PeerLivesTeller } from "../../../src/workers/peer-lives.ts";
import { codeOf, pattern, readBack, same } from "../../conformance/block-device-subject.ts";
import { CutProxy } from "../../helpers/cut-proxy.ts";
import { MemberServer } from "../../helpers/member-server.ts";
import { MemoryBackend } from "../../helpers/memory-backend.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const test = suite("peers: lives of boards");

test(
  "calls to a board whose life is over end at once, those to a later life go on",
  withTimeout(60_000, async () => {
    const backend = new MemoryBackend({ sizeBytes: 65_536 });
    const server = await MemberServer.start({ disks: { disk1: backend } });
    const { tls, session } = server.access();
    const [mine, others] = ["board1.0a1b2c3d", "board3.0a1b2c3d"];
    const tellers = [new PeerLivesTeller(mine), new PeerLivesTeller(others)];
    const open = (owner: string): Promise<BlockDevice> => {
      const ticket = { path: "peer:board2/disk1", peer: server.ticket("disk1") };
      return openStore(ticket, "write", { peers: { tls, session, owner } });
    };
    const [device, other] = await Promise.all([open(mine), open(others)]);
    backend.setPace("held");
    const write = codeOf(() => device.write([pattern(512, 1)], 0));
    await eventually("it is at the disk", 10_000, () => backend.heldCalls === 1);
    for (const teller of tellers) teller.tell([{ name: "board2", epoch: server.life }]);
    tellers[0]?.tell([]);
    assert.is(await write, "HAL_PEER_GONE");
    assert.is(await codeOf(() => device.flush()), "HAL_PEER_GONE");
    assert.match(peerLinks()[0]?.lastError ?? "", /board2 has left the cluster/);
    backend.setPace("at-once");
    backend.release();

    const old = server.life;
    server.life += 1;
    const next = await open(mine);
    tellers[0]?.tell([{ name: "board2", epoch: old }]);
    tellers[0]?.tell([{ name: "board2", epoch: server.life }]);
    await next.write([pattern(512, 2)], 0);
    same(await readBack(other, 0, 512), pattern(512, 2), "another board was told nothing");
    for (const opened of [device, other, next]) await opened.close();
    assert.equal(peerLinks(), []);
    for (const teller of tellers) teller.close();
    await server.close();
  }),
);

test(
  "a thread that finds nothing answers tells the others, which give it up unless it answers them",
  withTimeout(60_000, async () => {
    const server = await MemberServer.start({
      disks: { disk1: new MemoryBackend({ sizeBytes: 65_536 }) },
    });
    const proxy = await CutProxy.start(`http://127.0.0.1:${server.port}`);
    const { tls, session } = server.access();
    const owner = "board1.0a1b2c3e";
    const { port } = new URL(proxy.url);
    const ticket = { path: "peer:board2/disk1", peer: server.ticket("disk1", Number(port)) };
    const device = await openStore(ticket, "write", { peers: { tls, session, owner } });
    const another = new PeerLivesEar(owner, () => undefined);
    another.tellSilent({ name: "board2", epoch: server.life });
    another.tellSilent({ name: "board3", epoch: server.life });
    await device.write([pattern(512, 1)], 0);
    assert.is(peerLinks()[0]?.state, "up");
    proxy.freeze();
    another.tellSilent({ name: "board2", epoch: server.life });
    await eventually("it is given up", 10_000, () => peerLinks()[0]?.state === "gone");
    another.close();
    await device.close();
    await proxy.close();
    await server.close();
  }),
);

test.run();
