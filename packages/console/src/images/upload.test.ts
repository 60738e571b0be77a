import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { MOST_TRIES, type UploadPause, uploadImage } from "./upload.ts";

const SIZE_BYTES = 1_200_000;
const NAMES = { manufacturer: "Airlift", model: "virtual", version: "2.0.0", hardware: [] };

/** What becomes of a request: it is not heard, or its answer is not. */
type Fault = "unheard" | "answerLost" | "badGateway" | "gatewayTimeout";

/** A server of one upload, behind a line that fails as it is told to. */
function standIn({ mock }: TestContext, faults: Readonly<Record<string, readonly Fault[]>>) {
  const left = new Map(Object.entries(faults).map(([what, some]) => [what, [...some]]));
  const uploads = new Map<string, number>();
  let writtenBytes = 0;
  let imageCount = 0;
  const act = (method: string, id: string | undefined, init: RequestInit): Response => {
    if (id === undefined) {
      const key = new Headers(init.headers).get("idempotency-key") ?? "";
      uploads.set(key, uploads.get(key) ?? 0);
      return Response.json({ id: key, offset: uploads.get(key) });
    }
    const offset = uploads.get(id) ?? 0;
    if (method === "GET") return Response.json({ id, offset });
    if (method === "PATCH") {
      assert.equal(Number(new Headers(init.headers).get("upload-offset")), offset, "a piece begins where it should");
      writtenBytes += (init.body as Blob).size;
      uploads.set(id, offset + (init.body as Blob).size);
      return Response.json({ id, offset: uploads.get(id) });
    }
    assert.equal(offset, SIZE_BYTES);
    imageCount = 1;
    return Response.json({ id: "image" }, { status: 201 });
  };
  mock.method(globalThis, "fetch", async (url: string, init: RequestInit) => {
    const [, id, finish] = /uploads(?:\/([0-9a-f]+)(\/finish)?)?$/.exec(url) ?? [];
    const method = init.method ?? "GET";
    const fault = left.get(finish ? "finish" : id === undefined ? "begin" : method)?.shift();
    if (fault === "unheard") throw new TypeError("fetch failed");
    if (fault === "badGateway") return new Response("<html>", { status: 502 });
    const answer = act(method, id, init);
    if (fault === "answerLost") throw new TypeError("fetch failed");
    return fault === "gatewayTimeout" ? new Response("<html>", { status: 504 }) : answer;
  });
  return { uploads, counts: () => ({ uploadCount: uploads.size, writtenBytes, imageCount }) };
}

/** Uploads while time passes as fast as it is waited for. */
async function upload({ mock }: TestContext) {
  mock.timers.enable({ apis: ["setTimeout"] });
  const pauses: (UploadPause | undefined)[] = [];
  let isSettled = false;
  const file = new File([new Uint8Array(SIZE_BYTES)], "firmware.bin");
  const steps = { onProgress: () => {}, onPause: (pause: UploadPause | undefined) => pauses.push(pause) };
  const outcome = uploadImage(file, NAMES, { ...steps, signal: new AbortController().signal }).finally(() => {
    isSettled = true;
  });
  outcome.catch(() => {});
  while (!isSettled) {
    mock.timers.tick(15_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { outcome, pauses };
}

const FAULTS: readonly Fault[] = ["unheard", "answerLost", "badGateway", "gatewayTimeout"];

test("whatever is lost on the way, each octet is written once and one image is made", async (t) => {
  const server = standIn(t, { begin: FAULTS, PATCH: FAULTS, GET: FAULTS, finish: FAULTS });
  const { outcome, pauses } = await upload(t);
  assert.deepEqual(await outcome, { id: "image" });
  assert.deepEqual(server.counts(), { uploadCount: 1, writtenBytes: SIZE_BYTES, imageCount: 1 });
  assert.equal(pauses.at(-1), undefined, "at the end nothing waits");
  assert.ok(pauses.some((pause) => pause?.tryCount === 4 && /proxy/.test(pause.reason)));
});

test("a server that stays away is given up in the end, and what has arrived stays", async (t) => {
  const server = standIn(t, { finish: Array<Fault>(MOST_TRIES).fill("unheard") });
  const { outcome, pauses } = await upload(t);
  await assert.rejects(outcome, { code: "UNREACHABLE" });
  assert.equal(pauses.filter((pause) => pause !== undefined).length, MOST_TRIES - 1);
  assert.deepEqual([...server.uploads.values()], [SIZE_BYTES]);
});
