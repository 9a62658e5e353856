/**
 * What every back end of the NBD server does, whatever is behind it. A run file gives the suite a
 * factory and calls `run`.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type {
  BlockExtent,
  Completion,
  ExportBackend,
  MetadataContext,
} from "../../src/nbd/export-backend.ts";
import { NBD_ENOTSUP } from "../../src/nbd/export-backend.ts";
import { concat } from "../helpers/nbd-messages.ts";
import { withSeeds } from "../helpers/seed.ts";
import { withTimeout } from "../helpers/timeout.ts";

export interface BackendUnderTest {
  readonly backend: ExportBackend;
  /** Frees what the factory made. */
  readonly close: () => Promise<void>;
}

/** Makes an empty, writable back end of at least 1 MiB. */
export type BackendFactory = () => Promise<BackendUnderTest>;

const LIMIT_MS = 30_000;
const CONTEXTS = ["base:allocation", "satsuma:dirty"] as const;
const STATE_ZERO = 2;

/** Calls the back end and resolves with the error number; a second completion throws. */
function ask(call: (complete: Completion) => void): Promise<number> {
  return new Promise((resolve) => {
    const state = { isDone: false };
    call((errno) => {
      assert.is(state.isDone, false, "completed twice");
      state.isDone = true;
      resolve(errno);
    });
  });
}

/** Extents of a range, at most `extentsMax`; a second completion throws. */
async function statusOf(
  backend: ExportBackend,
  context: MetadataContext,
  [offset, length]: readonly [number, number],
  extentsMax: number,
): Promise<readonly BlockExtent[]> {
  let found: readonly BlockExtent[] = [];
  const errno = await ask((complete) =>
    backend.blockStatus(context, offset, length, extentsMax, (error, extents) => {
      found = extents;
      complete(error);
    }),
  );
  assert.is(errno, 0);
  return found;
}

async function readAll(backend: ExportBackend, offset: number, length: number) {
  const target = new Uint8Array(length).fill(0xee);
  assert.is(await ask((complete) => backend.read(target, offset, complete)), 0);
  return target;
}

async function writeAll(backend: ExportBackend, offset: number, ...pieces: readonly Uint8Array[]) {
  assert.is(await ask((complete) => backend.write(pieces, offset, false, complete)), 0);
}

/** The suite of `name`, with all tests registered; the caller runs it. */
export function exportBackendSuite(name: string, make: BackendFactory) {
  const test = suite(`conformance: export back end: ${name}`);
  const on = (title: string, body: (backend: ExportBackend) => Promise<void>): void => {
    test(
      title,
      withTimeout(LIMIT_MS, async () => {
        const { backend, close } = await make();
        try {
          await body(backend);
        } finally {
          await close();
        }
      }),
    );
  };
  registerDataTests(on);
  registerStatusTests(on);
  return test;
}

type Register = (title: string, body: (backend: ExportBackend) => Promise<void>) => void;

function registerDataTests(on: Register): void {
  on("is writable and has a size", async (backend) => {
    assert.is(backend.readOnly, false);
    assert.ok(Number.isSafeInteger(backend.sizeBytes) && backend.sizeBytes >= 2 ** 20);
  });

  on("reads what was written in pieces, to its very end", async (backend) => {
    await withSeeds({ fixed: [1, 2], more: 3 }, async (prng) => {
      for (let turn = 0; turn < 20; turn += 1) {
        const pieces = [prng.bytes(512), prng.bytes(1 + prng.below(9000)), prng.bytes(7)];
        const payload = concat(...pieces);
        const isLast = turn === 0;
        const end = backend.sizeBytes - payload.length;
        const offset = isLast ? end : prng.below(end);
        await writeAll(backend, offset, ...pieces);
        assert.equal(await readAll(backend, offset, payload.length), payload);
      }
    });
  });

  on("takes FUA on every writing call, and flushes", async (backend) => {
    const payload = new Uint8Array(4096).fill(1);
    assert.is(await ask((complete) => backend.write([payload], 0, true, complete)), 0);
    assert.is(await ask((complete) => backend.trim(4096, 4096, true, complete)), 0);
    const options = { fua: true, mayPunch: true, fast: false };
    assert.is(await ask((complete) => backend.writeZeroes(8192, 4096, options, complete)), 0);
    assert.is(await ask((complete) => backend.flush(complete)), 0);
    assert.is(await ask((complete) => backend.cache(0, 65_536, complete)), 0);
  });

  on("zeroes read as zeroes, what is beside them stays", async (backend) => {
    for (const mayPunch of [true, false]) {
      await writeAll(backend, 0, new Uint8Array(40_000).fill(9));
      const options = { fua: false, mayPunch, fast: false };
      assert.is(await ask((complete) => backend.writeZeroes(5000, 20_000, options, complete)), 0);
      const content = await readAll(backend, 0, 40_000);
      assert.ok(content.subarray(5000, 25_000).every((byte) => byte === 0));
      assert.ok(content.subarray(0, 5000).every((byte) => byte === 9));
      assert.ok(content.subarray(25_000).every((byte) => byte === 9));
    }
  });

  on("a fast zero is done, or refused with nothing changed", async (backend) => {
    for (const mayPunch of [true, false]) {
      await writeAll(backend, 0, new Uint8Array(8192).fill(9));
      const options = { fua: false, mayPunch, fast: true };
      const errno = await ask((complete) => backend.writeZeroes(0, 8192, options, complete));
      assert.ok(errno === 0 || errno === NBD_ENOTSUP, `error ${errno}`);
      const expected = errno === 0 ? 0 : 9;
      assert.ok((await readAll(backend, 0, 8192)).every((byte) => byte === expected));
    }
  });

  on("trims, zeroes and writes of one place leave what one of them made", async (backend) => {
    await withSeeds({ fixed: [1], more: 1 }, async (prng) => {
      for (let round = 1; round < 9; round += 1) {
        const at = prng.below(20_000);
        const fill = new Uint8Array(30_000).fill(round);
        const zeroes = { fua: prng.below(2) === 0, mayPunch: prng.below(2) === 0, fast: false };
        await writeAll(backend, at, fill);
        const errors = await Promise.all([
          ask((complete) => backend.trim(at, fill.length, prng.below(2) === 0, complete)),
          ask((complete) => backend.write([fill], at, false, complete)),
          ask((complete) => backend.writeZeroes(at, fill.length, zeroes, complete)),
        ]);
        assert.equal(errors, [0, 0, 0]);
        const [first, ...rest] = await readAll(backend, at, fill.length);
        assert.ok(first === 0 || first === round, `${first} was never written`);
        assert.ok(rest.every((byte) => byte === first));
        for (let again = 0; again < 3; again += 1)
          assert.is((await readAll(backend, at, 1))[0], first, "every copy is the same");
      }
    });
  });

  on("a trim leaves what is beside it", async (backend) => {
    await writeAll(backend, 0, new Uint8Array(40_000).fill(9));
    assert.is(await ask((complete) => backend.trim(5000, 20_000, false, complete)), 0);
    const content = await readAll(backend, 0, 40_000);
    assert.ok(content.subarray(0, 5000).every((byte) => byte === 9));
    assert.ok(content.subarray(25_000).every((byte) => byte === 9));
  });

  on("many calls under way at a time all complete, and their content stands", async (backend) => {
    const size = 3000;
    const payload = (index: number): Uint8Array => new Uint8Array(size).fill(index + 1);
    const writes = Array.from({ length: 100 }, (_, index) =>
      ask((complete) => backend.write([payload(index)], index * size, false, complete)),
    );
    assert.ok((await Promise.all(writes)).every((errno) => errno === 0));
    for (let index = 0; index < 100; index += 1) {
      assert.equal(await readAll(backend, index * size, size), payload(index));
    }
  });
}

function registerStatusTests(on: Register): void {
  on("extents cover no more than asked, none is empty, none is one too many", async (backend) => {
    for (let at = 0; at < 2 ** 20; at += 262_144) await writeAll(backend, at, new Uint8Array(4096));
    const { sizeBytes } = backend;
    for (const context of CONTEXTS) {
      for (const [offset, length] of [
        [0, sizeBytes],
        [100, 5000],
        [sizeBytes - 1, 1],
      ] as const) {
        for (const extentsMax of [1, 2, 1000]) {
          const extents = await statusOf(backend, context, [offset, length], extentsMax);
          assert.ok(extents.length >= 1 && extents.length <= extentsMax);
          assert.ok(extents.every((extent) => extent.lengthBytes > 0));
          const covered = extents.reduce((sum, extent) => sum + extent.lengthBytes, 0);
          assert.ok(covered <= length, `${covered} of ${length}`);
        }
      }
    }
  });

  on("what is told to be zero reads as zeroes", async (backend) => {
    await writeAll(backend, 50_000, new Uint8Array(70_000).fill(1));
    const options = { fua: false, mayPunch: true, fast: false };
    await ask((complete) => backend.writeZeroes(65_536, 32_768, options, complete));
    for (let at = 0; at < 2 ** 20; ) {
      const [extent] = await statusOf(backend, "base:allocation", [at, 2 ** 20 - at], 1);
      assert.ok(extent);
      if ((extent.flags & STATE_ZERO) !== 0) {
        const content = await readAll(backend, at, extent.lengthBytes);
        assert.ok(content.every((byte) => byte === 0));
      }
      at += extent.lengthBytes;
    }
  });
}
