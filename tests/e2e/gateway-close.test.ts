/** A gateway that is to end while its server says nothing. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { ServerClient } from "@airlift/gateway/edge/server-client";

test("a report that the server does not answer keeps no gateway from ending", async () => {
  const silent = createServer((socket) => void socket.resume().on("error", () => undefined)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const client = new ServerClient({ url: `http://127.0.0.1:${port}`, gatewayId: "mast" });
  const asked = once(silent, "connection");
  const answer = client.report("{}");
  answer.catch(() => undefined);
  await asked;
  client.close();
  // Its own patience would have ended it by a TimeoutError.
  await assert.rejects(answer, ({ cause }: { cause: { cause: Error } }) => cause.cause.name === "AbortError");
  silent.close();
});
