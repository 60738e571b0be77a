import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapResponse, createResponse } from "@airlift/protocol/coap/exchange";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import { pino } from "pino";
import { pathsOf, type RequestContent } from "../fleet/queued-request.ts";
import { exampleRegistration, openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { RequestDrain } from "./request-drain.ts";

let scratch: ScratchStores;
before(async () => {
  scratch = await openScratchStores();
});
after(() => scratch.close());

const reboot: RequestContent = { operation: "execute", path: "/3/0/4" };
const readModel: RequestContent = { operation: "read", path: "/3/0/1" };

/** A drain over one device that sleeps until it is woken, and answers as `answer` says. */
function openDrain(answer: (request: Lwm2mRequest) => Promise<CoapResponse>, retryMs?: number) {
  const sent: string[] = [];
  let isAwake = false;
  const drain = new RequestDrain({
    store: scratch.stores.requests,
    requests: {
      request: (_, request) => {
        sent.push(`/${request.uriPath.join("/")}`);
        return answer(request);
      },
    },
    log: pino({ level: "silent" }),
    registrationOf: (endpoint) => exampleRegistration(endpoint, { queueMode: true }),
    isReachable: () => isAwake,
    ...(retryMs !== undefined && { retryMs }),
  });
  const setAwake = (endpoint: string, awake: boolean) => {
    isAwake = awake;
    drain.onReachable(endpoint, awake);
  };
  return { drain, sent, setAwake };
}

const answered = async () => createResponse(CODE.content, Uint8Array.of(49));
/** The records of a device once `isDone` says so; each look asks the database anew. */
async function recordsWhen(endpoint: string, isDone: (states: readonly string[]) => boolean) {
  let states: string[] = [];
  for (let look = 0; look < 2000; look += 1) {
    const records = await scratch.stores.requests.list(endpoint);
    states = records.map(({ state, outcome }) => outcome ?? state);
    if (isDone(states)) return states;
  }
  return assert.fail(`it stays at ${states}`);
}

test("requests outlive a restart and are sent in their order in the awake window", async () => {
  const first = openDrain(answered);
  await first.drain.submit("order", readModel);
  await first.drain.submit("order", reboot);
  await first.drain.close();
  const second = openDrain(answered);
  await second.drain.restore();
  assert.deepEqual(second.sent, []);
  second.setAwake("order", true);
  await recordsWhen("order", (states) => states.every((state) => state === "answered"));
  assert.deepEqual(second.sent, ["/3/0/1", "/3/0/4"]);
  const [newest] = await scratch.stores.requests.list("order");
  assert.deepEqual(newest?.answer, { code: "2.05", contentFormat: null, payload: "MQ==" });
  await second.drain.close();
});

test("an Execute that was on its way when the server fell is not sent again, a read is", async () => {
  const silent = () => new Promise<CoapResponse>(() => {});
  for (const content of [reboot, readModel]) {
    const endpoint = `crash ${content.operation}`;
    const fallen = openDrain(silent);
    await fallen.drain.submit(endpoint, content);
    fallen.setAwake(endpoint, true);
    await recordsWhen(endpoint, ([state]) => state === "sending");
    const next = openDrain(answered);
    await next.drain.restore();
    next.setAwake(endpoint, true);
    const expected = content === reboot ? "unknown" : "answered";
    await recordsWhen(endpoint, ([state]) => state === expected);
    assert.deepEqual(next.sent, content === reboot ? [] : ["/3/0/1"]);
    await Promise.all([fallen.drain.close(), next.drain.close()]);
  }
  const { items } = await scratch.stores.events.list({ endpoint: "crash execute" }, { limit: 10 });
  assert.match(items[0]?.sentence ?? "", /not known, and it is not sent again/);
});

test("what is asked twice is asked once, a newer write replaces an older, and a device that fell asleep is not asked", async () => {
  const asleep = async () => {
    throw new EnvironmentError("DEVICE_ASLEEP", "asleep");
  };
  const { drain, sent, setAwake } = openDrain(asleep);
  const [first, again] = [await drain.submit("twice", readModel), await drain.submit("twice", readModel)];
  assert.equal(first, again);
  const write: RequestContent = { operation: "write", path: "/1/0/1", payload: "NjA=" };
  await drain.submit("twice", write);
  await drain.submit("twice", { ...write, payload: "OTA=" });
  await recordsWhen("twice", (states) => `${states}` === "waiting,waiting,replaced");
  setAwake("twice", true);
  await recordsWhen("twice", (states) => `${states}` === "waiting,waiting,replaced" && sent.length === 1);
  await drain.cancel("twice", first);
  await assert.rejects(drain.cancel("twice", first), { code: "UNKNOWN_REQUEST" });
  await recordsWhen("twice", (states) => `${states}` === "waiting,replaced,cancelled");
  await assert.rejects(drain.submit("twice", { operation: "execute", path: "/3/0" }), { code: "REQUEST" });
  await drain.close();
});

test("a composite operation is told by the paths in its payload, in the queue and on the timeline", async () => {
  const { drain, setAwake } = openDrain(answered);
  const payloadOf = (records: unknown) => Buffer.from(JSON.stringify(records)).toString("base64");
  const names = [0, 1, 2, 3, 13].map((resource) => ({ n: `/3/0/${resource}` }));
  const shared = { path: "/", contentFormat: 110 };
  await drain.submit("composite", { ...shared, operation: "readComposite", payload: payloadOf(names) });
  const values = [
    { bn: "/3/0/", n: "14", vs: "+01:00" },
    { n: "15", vs: "Europe/Oslo" },
  ];
  await drain.submit("composite", { ...shared, operation: "writeComposite", payload: payloadOf(values) });
  await drain.submit("composite", { ...shared, operation: "writeComposite", payload: "bm8=" });
  const records = await scratch.stores.requests.list("composite");
  assert.deepEqual(
    records.map(({ content }) => pathsOf(content)),
    [names.map(({ n }) => n), ["/3/0/14", "/3/0/15"], ["/"]],
  );
  setAwake("composite", true);
  await recordsWhen("composite", (states) => states.every((state) => state === "answered"));
  const { items } = await scratch.stores.events.list({ endpoint: "composite" }, { limit: 10 });
  assert.deepEqual(
    items.map(({ sentence }) => sentence.split(":")[0]),
    ["writeComposite /", "writeComposite /3/0/14 /3/0/15", "readComposite /3/0/0 /3/0/1 /3/0/2 /3/0/3 and 1 more"],
  );
  await drain.close();
});

test("of a device's finished requests the last 50 are kept", async () => {
  const { drain } = openDrain(answered);
  for (let i = 0; i < 60; i += 1) {
    const id = await drain.submit("many", reboot);
    await drain.cancel("many", id);
  }
  assert.equal((await scratch.stores.requests.list("many")).length, 50);
  await drain.close();
});

test("a device that always listens is asked again after a request that it did not answer", async () => {
  let asked = 0;
  const { drain, setAwake } = openDrain(async () => {
    asked += 1;
    if (asked < 3) throw new EnvironmentError("COAP_TIMEOUT", "no answer");
    return createResponse(CODE.content);
  }, 1);
  await drain.submit("listener", readModel);
  setAwake("listener", true);
  await recordsWhen("listener", ([state]) => state === "answered");
  assert.equal((await scratch.stores.requests.list("listener"))[0]?.attempts, 3);
  await drain.close();
});
