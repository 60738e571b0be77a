import assert from "node:assert/strict";
import { test } from "node:test";
import { isOutdated, type Registration, type RegistrationRequest } from "./registration.ts";
import { Registry } from "./registry.ts";
import { type Sender, udpPeerKey } from "./sender.ts";

const request = (endpoint: string, lifetimeS = 60): RegistrationRequest => ({
  endpoint,
  lifetimeS,
  lwm2mVersion: "1.1",
  binding: "U",
  queueMode: false,
  objects: { rootSegments: [], contentFormats: [], objects: [{ objectId: 5, version: undefined, instances: [0] }] },
});
const udp = (address: string): Sender => ({
  transport: "udp",
  peerKey: udpPeerKey(address),
  address,
  provenEndpoint: undefined,
});
const dtls = (session: string, provenEndpoint: string | undefined, address = "h:1"): Sender => ({
  transport: "dtls",
  peerKey: `dtls ${session}`,
  address,
  provenEndpoint,
});
const T0 = 1_700_000_000_000;

test("LwM2M 1.2 §6.2.1: a registration lives for its lifetime, each Update starts it anew", () => {
  const registry = new Registry({ graceMs: 1000 });
  registry.step({ kind: "register", id: "a", sender: udp("h:1"), request: request("pump"), utcMs: T0 }, 0);
  assert.equal(registry.wakeAtMs, 61_000);
  registry.step({ kind: "update", id: "a", sender: udp("h:1"), change: {}, utcMs: T0 + 50_000 }, 50_000);
  assert.deepEqual(registry.step({ kind: "wake" }, 61_000), []);
  const [expired] = registry.step({ kind: "wake" }, 111_000);
  assert.equal(expired?.kind, "expired");
  assert.equal(registry.get("pump"), undefined);
  assert.equal(registry.wakeAtMs, undefined);
});

test("a device that registers again replaces its old registration, whose location is then unknown", () => {
  const registry = new Registry();
  registry.step({ kind: "register", id: "a", sender: udp("h:1"), request: request("pump"), utcMs: T0 }, 0);
  const [output] = registry.step(
    { kind: "register", id: "b", sender: udp("h:2"), request: request("pump"), utcMs: T0 },
    10,
  );
  assert.ok(output?.kind === "registered" && output.replaced?.id === "a");
  assert.deepEqual(registry.step({ kind: "update", id: "a", sender: udp("h:1"), change: {}, utcMs: T0 }, 20), [
    { kind: "unknown" },
  ]);
  assert.equal(registry.size, 1);
});

test("an Update from another address moves the device there", () => {
  const registry = new Registry();
  registry.step({ kind: "register", id: "a", sender: udp("h:1"), request: request("pump"), utcMs: T0 }, 0);
  const [moved] = registry.step(
    { kind: "update", id: "a", sender: udp("h:9"), change: { lifetimeS: 10 }, utcMs: T0 + 5 },
    5,
  );
  assert.ok(moved?.kind === "updated" && moved.moved);
  assert.deepEqual([registry.get("pump")?.address, registry.get("pump")?.lifetimeS], ["h:9", 10]);
});

test("a restart keeps every registration that has not ended meanwhile", () => {
  const before = new Registry();
  for (const [name, lifetimeS] of [
    ["short", 10],
    ["long", 1000],
  ] as const) {
    before.step({ kind: "register", id: name, sender: udp("h:1"), request: request(name, lifetimeS), utcMs: T0 }, 0);
  }
  const saved = ["short", "long"].flatMap((name) => before.get(name) ?? []);
  const after = new Registry({ graceMs: 0 });
  after.step({ kind: "restore", registrations: saved, utcMs: T0 + 100_000 }, 7);
  assert.deepEqual(
    after.step({ kind: "wake" }, 7).map((output) => output.kind),
    ["expired"],
  );
  assert.equal(after.wakeAtMs, 7 + 900_000);
});

test("a full registry refuses new names and still serves those it has", () => {
  const registry = new Registry({ registrationLimit: 1 });
  registry.step({ kind: "register", id: "a", sender: udp("h:1"), request: request("pump"), utcMs: T0 }, 0);
  const refused = registry.step(
    { kind: "register", id: "b", sender: udp("h:2"), request: request("fan"), utcMs: T0 },
    0,
  );
  assert.deepEqual(refused, [{ kind: "full" }]);
  const again = registry.step(
    { kind: "register", id: "c", sender: udp("h:1"), request: request("pump"), utcMs: T0 },
    0,
  );
  assert.equal(again[0]?.kind, "registered");
});

test("who sends from an address is the registration that was renewed last from there", () => {
  const registry = new Registry();
  const register = (id: string, address: string): void =>
    void registry.step({ kind: "register", id, sender: udp(address), request: request(id), utcMs: T0 }, 0);
  register("pump", "h:1");
  register("fan", "h:2");
  assert.equal(registry.of(udp("h:1"))?.endpoint, "pump");
  registry.step({ kind: "update", id: "pump", sender: udp("h:3"), change: {}, utcMs: T0 }, 1);
  assert.equal(registry.of(udp("h:1")), undefined);
  assert.equal(registry.of(udp("h:3"))?.endpoint, "pump");
  registry.step({ kind: "update", id: "fan", sender: udp("h:3"), change: {}, utcMs: T0 }, 2);
  registry.step({ kind: "deregister", id: "pump", sender: udp("h:3") }, 3);
  assert.equal(registry.of(udp("h:3"))?.endpoint, "fan", "the address is another one's by now");
  assert.equal(registry.of(udp("h:2")), undefined);
});

test("a session speaks for the name of its credential and for no other", () => {
  const registry = new Registry();
  const register = (endpoint: string, sender: Sender) =>
    registry.step({ kind: "register", id: endpoint, sender, request: request(endpoint), utcMs: T0 }, 0);
  assert.equal(register("pump", dtls("1", "pump"))[0]?.kind, "registered");
  assert.equal(registry.get("pump")?.transport, "dtls");
  assert.equal(register("fan", dtls("1", "pump"))[0]?.kind, "forbidden");
  assert.equal(register("pump", dtls("2", undefined))[0]?.kind, "forbidden");
  assert.equal(registry.of(dtls("9", "pump"))?.endpoint, "pump", "by name, whichever session");
  assert.equal(registry.of(dtls("1", undefined)), undefined);
  assert.equal(registry.of(dtls("1", "fan")), undefined);
});

test("what was registered with a proof is not changed, ended or reported for without it, nor with another's", () => {
  const registry = new Registry();
  registry.step({ kind: "register", id: "a", sender: dtls("1", "pump"), request: request("pump"), utcMs: T0 }, 0);
  const before = registry.get("pump");
  for (const sender of [udp("h:1"), dtls("2", "fan"), dtls("3", undefined)]) {
    const inputs = [
      { kind: "update", id: "a", sender, change: { lifetimeS: 1 }, utcMs: T0 + 1 },
      { kind: "deregister", id: "a", sender },
      { kind: "register", id: "b", sender, request: request("pump"), utcMs: T0 + 1 },
    ] as const;
    for (const input of inputs) assert.equal(registry.step(input, 1)[0]?.kind, "forbidden", input.kind);
    assert.equal(registry.of(sender), undefined);
  }
  assert.equal(registry.get("pump"), before);
});

test("a device moves between transports under its proven name; a resumed session counts as moved, a new address does not", () => {
  const registry = new Registry();
  registry.step({ kind: "register", id: "a", sender: udp("h:1"), request: request("pump"), utcMs: T0 }, 0);
  const update = (sender: Sender) => {
    const [output] = registry.step({ kind: "update", id: "a", sender, change: {}, utcMs: T0 }, 1);
    return output?.kind === "updated"
      ? [output.registration.transport, output.registration.address, output.moved]
      : output;
  };
  assert.deepEqual(update(dtls("1", "pump")), ["dtls", "h:1", true]);
  assert.deepEqual(update(dtls("1", "pump", "h:7")), ["dtls", "h:7", false]);
  assert.deepEqual(update(dtls("2", "pump", "h:7")), ["dtls", "h:7", true]);
  assert.equal(registry.of(udp("h:1")), undefined);
});

test("a withdrawn credential ends the registration", () => {
  const registry = new Registry();
  registry.step({ kind: "register", id: "a", sender: dtls("1", "pump"), request: request("pump"), utcMs: T0 }, 0);
  assert.deepEqual(
    registry.step({ kind: "withdraw", endpoint: "pump" }, 1).map(({ kind }) => kind),
    ["withdrawn"],
  );
  assert.deepEqual(registry.step({ kind: "withdraw", endpoint: "pump" }, 2), []);
  assert.equal(registry.size, 0);
});

test("a fleet whose registrations all end at once is let go in parts, so that others are answered in between", () => {
  const registry = new Registry({ graceMs: 0 });
  const before = exampleFleet(2_500);
  registry.step({ kind: "restore", registrations: before, utcMs: 0 }, 0);
  const parts: number[] = [];
  while (registry.wakeAtMs !== undefined) parts.push(registry.step({ kind: "wake" }, 60_000).length);
  assert.deepEqual(parts, [1_000, 1_000, 500]);
});

function exampleFleet(count: number): Registration[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `r${i}`,
    endpoint: `d${i}`,
    address: `192.0.2.1:${i}`,
    transport: "udp",
    lifetimeS: 60,
    lwm2mVersion: "1.1",
    binding: "U",
    queueMode: false,
    objects: { rootSegments: [], contentFormats: [], objects: [] },
    registeredAtMs: 0,
    lastSeenAtMs: 0,
  }));
}

test("a guest is at home here from its first word on, or when it does what it is asked for", () => {
  const registry = new Registry({ graceMs: 0 });
  const guest = (endpoint: string, id: string): Registration => ({
    ...request(endpoint),
    id,
    transport: "udp",
    address: "h:1",
    registeredAtMs: T0,
    lastSeenAtMs: T0,
    home: "another",
  });
  const guests = () => [...registry.guests()].map(({ endpoint }) => endpoint);
  registry.step(
    { kind: "restore", registrations: ["a", "b", "c", "d"].map((name) => guest(name, name)), utcMs: T0 },
    0,
  );
  assert.deepEqual(guests(), ["a", "b", "c", "d"]);
  const [updated] = registry.step({ kind: "update", id: "a", sender: udp("h:2"), change: {}, utcMs: T0 + 1 }, 1);
  assert.ok(updated?.kind === "updated" && updated.registration.home === undefined);
  const [settled] = registry.step({ kind: "settle", endpoint: "b" }, 2);
  assert.ok(settled?.kind === "settled" && settled.registration.home === undefined);
  assert.equal(settled.registration.lastSeenAtMs, T0);
  assert.deepEqual(registry.step({ kind: "settle", endpoint: "b" }, 3), []);
  registry.step({ kind: "register", id: "c2", sender: udp("h:3"), request: request("c"), utcMs: T0 + 4 }, 4);
  assert.deepEqual(guests(), ["d"]);
  // Doing what it is asked for renews no lifetime; with its end it keeps its home.
  const ended = registry.step({ kind: "wake" }, 60_000);
  assert.deepEqual(
    ended.map((output) => ("registration" in output ? [output.registration.endpoint, output.registration.home] : [])),
    [
      ["b", undefined],
      ["d", "another"],
    ],
  );
  assert.deepEqual(guests(), []);
});

test("what is on record takes the place of what is known only when it tells more", () => {
  const known: Registration = {
    ...request("a"),
    id: "old",
    transport: "udp",
    address: "h:1",
    registeredAtMs: T0,
    lastSeenAtMs: T0,
  };
  const newer = { ...known, id: "new", address: "h:2", lastSeenAtMs: T0 + 1, home: "another" };
  assert.deepEqual(
    [
      isOutdated(undefined, known),
      isOutdated(known, known),
      isOutdated(known, newer),
      isOutdated(newer, known),
      isOutdated(known, { ...known, home: "another" }),
    ],
    [true, false, true, false, true],
  );
  const registry = new Registry({ graceMs: 0 });
  registry.step({ kind: "restore", registrations: [known], utcMs: T0 }, 0);
  registry.step({ kind: "restore", registrations: [newer], utcMs: T0 }, 0);
  assert.deepEqual([registry.size, registry.get("a"), registry.of(udp("h:1"))], [1, newer, undefined]);
  const unknown = registry.step({ kind: "update", id: "old", sender: udp("h:1"), change: {}, utcMs: T0 }, 1);
  assert.deepEqual(unknown, [{ kind: "unknown" }]);
});
