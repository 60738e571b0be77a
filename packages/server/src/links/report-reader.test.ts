import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { pino } from "pino";
import type { Registration } from "../fleet/registration.ts";
import { exampleRegistration } from "../store/scratch-stores.ts";
import { ReportReader } from "./report-reader.ts";

/** Long enough that no place is given back by itself. */
const FOR_EVER_MS = 3_600_000;
const REPORT = {
  firmware: null,
  version: "1.0.0",
  manufacturer: null,
  model: null,
  hardware: null,
  battery: null,
  utcOffset: null,
  timezone: null,
};

/** A reader whose devices are silent when their name says so, until the exchange is given up. */
function createReader(t: { after: (end: () => void) => void }, placeMs = FOR_EVER_MS) {
  const registered = new Map<string, Registration>();
  const waiters = new Map<string, () => void>();
  const silent = new Map<string, (error: Error) => void>();
  const asked: string[] = [];
  const read = new Set<string>();
  const reader = new ReportReader({
    link: {
      readReport: ({ endpoint }) => {
        asked.push(endpoint);
        if (!endpoint.startsWith("silent")) return Promise.resolve(REPORT);
        return new Promise((_, reject) => silent.set(endpoint, reject));
      },
    },
    log: pino({ level: "silent" }),
    onReport: (endpoint) => {
      read.add(endpoint);
      waiters.get(endpoint)?.();
    },
    registrationOf: (endpoint) => registered.get(endpoint),
    readMore: async () => {},
    placeCount: 2,
    placeMs,
  });
  t.after(() => reader.close());
  return {
    reader,
    asked,
    register: (endpoint: string, changes: Partial<Registration> = {}) => {
      const registration = exampleRegistration(endpoint, changes);
      registered.set(endpoint, registration);
      reader.read(registration);
      return registration;
    },
    leave: (endpoint: string) => registered.delete(endpoint),
    giveUp: (endpoint: string) => silent.get(endpoint)?.(new EnvironmentError("COAP_TIMEOUT", "no answer")),
    isRead: (endpoint: string) =>
      new Promise<void>((resolve) => {
        waiters.set(endpoint, resolve);
        if (read.has(endpoint)) resolve();
      }),
  };
}

const OF_THE_FLOOD = { address: "192.0.2.66:1000" };

test("a device that has shown that it hears us is read while silent ones hold all places of the others", async (t) => {
  const { register, isRead, reader } = createReader(t);
  for (let index = 0; index < 50; index += 1) register(`silent-${index}`, OF_THE_FLOOD);
  for (const transport of ["dtls", "tcp", "tls"] as const) register(`honest-${transport}`, { transport });
  for (const transport of ["dtls", "tcp", "tls"]) await isRead(`honest-${transport}`);
  const plain = register("honest-udp");
  reader.proved(plain);
  await isRead("honest-udp");
});

test("a host with many silent devices keeps another waiting for one of them at most", async (t) => {
  const { register, isRead, giveUp, asked } = createReader(t);
  for (let index = 0; index < 50; index += 1) register(`silent-${index}`, OF_THE_FLOOD);
  register("honest", { address: "192.0.2.7:5683" });
  giveUp("silent-0");
  giveUp("silent-1");
  await isRead("honest");
  assert.deepEqual(asked.slice(0, 4), ["silent-0", "silent-1", "silent-2", "honest"]);
});

test("a silent device gives its place back before it is given up", async (t) => {
  const { register, isRead } = createReader(t, 1);
  for (let index = 0; index < 5; index += 1) register(`silent-${index}`, OF_THE_FLOOD);
  register("honest", OF_THE_FLOOD);
  await isRead("honest");
});

test("who has left is not asked, and who has moved is asked once, where it is now", async (t) => {
  const { register, leave, isRead, giveUp, asked } = createReader(t);
  register("silent-0", OF_THE_FLOOD);
  register("silent-1", OF_THE_FLOOD);
  register("gone", OF_THE_FLOOD);
  register("moved", OF_THE_FLOOD);
  leave("gone");
  register("moved", { address: "192.0.2.7:5683" });
  giveUp("silent-0");
  await isRead("moved");
  giveUp("silent-1");
  assert.deepEqual(asked, ["silent-0", "silent-1", "moved"]);
});
