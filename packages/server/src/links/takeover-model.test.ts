/**
 * Servers that die, pause and return in any order, with devices that speak to one or another: once all have looked, a device is at the
 * server that it spoke to last if that lives, else at exactly one other, and its update with it.
 */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { sql } from "kysely";
import { pino } from "pino";
import { Registry } from "../fleet/registry.ts";
import { type Sender, udpPeerKey } from "../fleet/sender.ts";
import { type Database, openDatabase } from "../store/database.ts";
import type { KeptRegistration, Stores } from "../store/ports.ts";
import {
  exampleRegistration,
  openScratchStores,
  openSecondStores,
  type ScratchStores,
} from "../store/scratch-stores.ts";
import { Takeover } from "./takeover.ts";

const NAMES = ["a", "b", "c"] as const;
const ENDPOINTS = ["d0", "d1", "d2", "d3"];
type Name = (typeof NAMES)[number];

let scratch: ScratchStores;
let database: Database;
let stores: Record<Name, Stores>;
let imageId: string;
before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  const [b, c] = [
    await openSecondStores(scratch, { node: { name: "b" } }),
    await openSecondStores(scratch, { node: { name: "c" } }),
  ];
  stores = { a: scratch.stores, b, c };
  database = openDatabase(scratch.database.url);
  const name = { manufacturer: "Example", model: "Sensor", version: "1.0.0", hardware: [] };
  imageId = (await scratch.stores.images.add(Readable.from([new Uint8Array(100)]), name)).image.id;
});
after(async () => {
  await database.close();
  await stores.c.close();
  await stores.b.close();
  await scratch.close();
});

/** A server's memory of who is registered. */
class Server {
  readonly stores: Stores;
  readonly registry = new Registry();
  readonly #takeover: Takeover;

  constructor(own: Stores) {
    this.stores = own;
    this.#takeover = new Takeover({
      stores: own,
      delivery: { takeOver: async () => {} },
      onRegistrations: (kept) => this.#takeUp(kept),
      onClaimed: () => {},
      registrations: () => this.registry.all(),
      guests: () => this.registry.guests(),
      registrationOf: (endpoint) => this.registry.get(endpoint),
      isArriving: () => false,
      onLeft: (endpoint) => void this.registry.step({ kind: "leave", endpoint }, 0),
      log: pino({ level: "silent" }),
    });
  }

  static async start(own: Stores): Promise<Server> {
    const server = new Server(own);
    await own.nodes.join();
    server.#takeUp(await own.devices.loadRegistrations());
    await own.updates.unfinished();
    return server;
  }

  look(): Promise<void> {
    return this.#takeover.look();
  }

  /** The device's registration, or an Update of it. */
  async speak(endpoint: string, utcMs: number): Promise<void> {
    const { id } = this.registry.get(endpoint) ?? {};
    const request = exampleRegistration(endpoint);
    const [output] =
      id === undefined
        ? this.registry.step({ kind: "register", id: `r-${utcMs}`, sender: SENDER, request, utcMs }, 0)
        : this.registry.step({ kind: "update", id, sender: SENDER, change: {}, utcMs }, 0);
    assert.ok(output?.kind === "registered" || output?.kind === "updated");
    await this.#save({ ...output.registration, presence: "registered" });
  }

  /** The device does what it is asked for, if it is asked; when it was heard last, if that makes it at home here. */
  async serve(endpoint: string): Promise<number | undefined> {
    const [output] = this.registry.step({ kind: "settle", endpoint }, 0);
    if (output?.kind !== "settled") return undefined;
    await this.#save({ ...output.registration, presence: "registered" });
    return output.registration.lastSeenAtMs;
  }

  async #save(registration: KeptRegistration): Promise<void> {
    this.stores.devices.queueSave([registration]);
    await this.stores.devices.flush();
  }

  #takeUp(kept: readonly KeptRegistration[]): void {
    this.registry.step({ kind: "restore", registrations: kept, utcMs: 0 }, 0);
  }
}

type Act =
  | { readonly kind: "die" | "pause" | "return" | "look"; readonly name: Name }
  | { readonly kind: "speak" | "serve"; readonly name: Name; readonly endpoint: string };

const SENDER: Sender = { transport: "udp", peerKey: udpPeerKey("h:1"), address: "h:1", provenEndpoint: undefined };

const acts: fc.Arbitrary<Act> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("die" as const, "pause" as const, "return" as const),
    name: fc.constantFrom(...NAMES),
  }),
  fc.record({ kind: fc.constant("look" as const), name: fc.constantFrom(...NAMES) }),
  fc.record({
    kind: fc.constantFrom("speak" as const, "serve" as const),
    name: fc.constantFrom(...NAMES),
    endpoint: fc.constantFrom(...ENDPOINTS),
  }),
);

/** Three servers, and what is each device's home by what it said. */
class World {
  readonly homes = new Map<string, Name>();
  readonly spokenAtMs = new Map<string, number>();
  readonly #servers = new Map<Name, Server>();
  readonly #alive = new Set<Name>(NAMES);
  #utcMs = 1_000;

  static async start(): Promise<World> {
    await sql`truncate devices, updates cascade`.execute(database.tables);
    const world = new World();
    for (const name of NAMES) world.#servers.set(name, await Server.start(stores[name]));
    for (const [n, endpoint] of ENDPOINTS.entries()) {
      await world.act({ kind: "speak", name: NAMES[n % NAMES.length] ?? "a", endpoint });
      await stores.a.updates.create({ endpoint, imageId, by: "auto", apply: true });
    }
    return world;
  }

  get alive(): Server[] {
    return [...this.#alive].map((name) => this.#of(name));
  }

  async act(act: Act): Promise<void> {
    const { kind, name } = act;
    if (kind === "return") return this.#return(name);
    if (!this.#alive.has(name)) return;
    if (kind === "die" || kind === "pause") {
      this.#alive.delete(name);
      if (kind === "die") this.#servers.delete(name);
      await sql`update nodes set lease_until = now() - interval '1 second' where id = ${name}`.execute(database.tables);
    } else if (kind === "look") await this.#of(name).look();
    else if (kind === "speak") {
      this.#utcMs += 1;
      await this.#of(name).speak(act.endpoint, this.#utcMs);
      this.homes.set(act.endpoint, name);
      this.spokenAtMs.set(act.endpoint, this.#utcMs);
    } else if (kind === "serve") {
      // What it said to another one since counts for more.
      const heardAtMs = await this.#of(name).serve(act.endpoint);
      if (heardAtMs !== undefined && heardAtMs === this.spokenAtMs.get(act.endpoint))
        this.homes.set(act.endpoint, name);
    }
  }

  /** After a pause with all that it knew, else with what is on record. */
  async #return(name: Name): Promise<void> {
    if (this.#alive.has(name)) return;
    this.#alive.add(name);
    if (this.#servers.has(name)) await stores[name].nodes.renew();
    else this.#servers.set(name, await Server.start(stores[name]));
  }

  #of(name: Name): Server {
    const server = this.#servers.get(name);
    assert.ok(server);
    return server;
  }
}

test("a device is where it spoke last while that server lives, else at one other, and never at two", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(acts, { minLength: 5, maxLength: 30 }), async (sequence) => {
      const world = await World.start();
      for (const act of sequence) await world.act(act);
      await world.act({ kind: "return", name: "b" });
      for (let round = 0; round < 3; round += 1) for (const server of world.alive) await server.look();
      const aliveIds = world.alive.map(({ stores: { nodes } }) => nodes.id);
      for (const endpoint of ENDPOINTS) {
        const node = (await stores.a.devices.get(endpoint))?.node ?? "";
        const home = world.homes.get(endpoint) ?? "";
        const hosts = world.alive.filter(({ registry }) => registry.get(endpoint) !== undefined);
        assert.deepEqual([endpoint, hosts.map(({ stores: { nodes } }) => nodes.id)], [endpoint, [node]]);
        assert.ok(aliveIds.includes(node));
        if (aliveIds.includes(home)) assert.equal(node, home);
        const known = hosts[0]?.registry.get(endpoint);
        assert.deepEqual(
          [endpoint, known?.lastSeenAtMs, known?.home ?? node],
          [endpoint, world.spokenAtMs.get(endpoint), home],
        );
        const { rows } = await sql<{ node_id: string }>`
          select node_id from updates where endpoint = ${endpoint}`.execute(database.tables);
        assert.deepEqual(rows, [{ node_id: node }]);
      }
    }),
    { numRuns: 40, endOnFailure: true },
  );
});
