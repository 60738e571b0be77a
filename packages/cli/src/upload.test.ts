import assert from "node:assert/strict";
import { test } from "node:test";
import type { Image } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Client } from "./client.ts";
import { uploadImage } from "./upload.ts";

const NAME = { manufacturer: "Example", model: "Sensor", version: "1", hardware: [] };
const PIECE = 4 * 2 ** 20;

/** A server that takes what `keep` says of each piece, and whose answer gets lost when that is not all of it. */
function serverThat(keep: (pieceNumber: number, sizeBytes: number) => number, sizeBytes: number) {
  let offset = 0;
  let pieceCount = 0;
  const state = () => ({ id: "u", offset, sizeBytes, expiresAt: "" });
  const client = {
    beginUpload: async () => state(),
    uploadState: async () => state(),
    uploadPiece: async (_: string, from: number, piece: Blob) => {
      assert.equal(from, offset);
      pieceCount += 1;
      const kept = keep(pieceCount, piece.size);
      offset += kept;
      if (kept < piece.size) throw new EnvironmentError("UNREACHABLE", "the line broke");
      return state();
    },
    finishUpload: async () => ({ id: "done" }) as Image,
  };
  return client as unknown as Client;
}

test("a piece that breaks off goes on where it stopped, and the operator is told", async () => {
  const pauses: string[] = [];
  const progress: number[] = [];
  const server = serverThat((number, size) => (number === 2 ? 1000 : size), 3 * PIECE);
  const image = await uploadImage(server, new Blob([new Uint8Array(3 * PIECE)]), {
    name: NAME,
    retryMs: 0,
    onPause: (reason) => pauses.push(reason),
    onProgress: (sent) => progress.push(sent),
  });
  assert.equal(image.id, "done");
  assert.deepEqual(pauses, ["the line broke"]);
  assert.deepEqual(progress, [0, PIECE, 2 * PIECE + 1000, 3 * PIECE]);
});

test("a line that stays broken is given up with its reason; an empty file is not begun", async () => {
  const dead = serverThat(() => 0, PIECE);
  const options = { name: NAME, retryMs: 0, attemptCount: 3 };
  await assert.rejects(uploadImage(dead, new Blob(["x"]), options), { code: "UNREACHABLE" });
  await assert.rejects(uploadImage(dead, new Blob([]), options), { code: "IMAGE_EMPTY" });
});
