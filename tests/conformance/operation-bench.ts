/** Our server and our device's agent over one transport of this machine, for every operation in every version and format. */
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { LastValue } from "@airlift/protocol/api/operations";
import type { Event } from "@airlift/protocol/api/schemas";
import type { Lwm2mVersion } from "@airlift/protocol/lwm2m/registration";
import type { FloodGateOptions } from "@airlift/server/fleet/flood-gate";
import type { PeerGateOptions } from "@airlift/server/fleet/peer-gate";
import { isSecure, type Transport } from "@airlift/server/fleet/sender";
import { SCHEMES } from "@airlift/server/links/door";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { loadServerIdentity } from "@airlift/server/links/server-identity";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { MemoryCredentials } from "../e2e/memory-credentials.ts";
import { createMemoryDevice } from "../e2e/memory-handlers.ts";
import { EventWatch } from "../event-watch.ts";

export const IDENTITY = { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" };

export class OperationBench {
  readonly server: Lwm2mServer;
  readonly stores: ScratchStores["stores"];
  readonly #scratch: ScratchStores;
  readonly #agents: UpdateAgent[] = [];
  readonly #watch: EventWatch;
  readonly #restarted = new Set<string>();

  readonly #transport: Transport;
  readonly #credentials: MemoryCredentials;

  private constructor(
    scratch: ScratchStores,
    server: Lwm2mServer,
    parts: { transport: Transport; credentials: MemoryCredentials; watch: EventWatch },
  ) {
    this.#scratch = scratch;
    this.stores = scratch.stores;
    this.server = server;
    this.#transport = parts.transport;
    this.#credentials = parts.credentials;
    this.#watch = parts.watch;
    this.#watch.listen(scratch.stores.events);
  }

  static async open(
    flood?: FloodGateOptions,
    transport: Transport = "udp",
    peerGate?: PeerGateOptions,
  ): Promise<OperationBench> {
    const scratch = await openScratchStores();
    const credentials = new MemoryCredentials();
    const watch = new EventWatch();
    const server = await Lwm2mServer.open({
      stores: scratch.stores,
      log: watch.log,
      [transport]: { host: "127.0.0.1", port: 0 },
      credentials,
      identity: await loadServerIdentity({ dataDir: scratch.folder, certificateFile: null, keyFile: null }),
      publicHost: null,
      httpPort: () => 0,
      flood,
      peerGate,
    });
    return new OperationBench(scratch, server, { transport, credentials, watch });
  }

  /** All that were heard, oldest first. */
  get events(): readonly Event[] {
    return this.#watch.events;
  }

  get operations() {
    return this.server.operations;
  }

  /** A key for a device over DTLS or TLS. */
  giveKey(endpoint: string): ReturnType<MemoryCredentials["give"]> {
    return this.#credentials.give(endpoint);
  }

  /** A device that has registered. */
  async device(endpoint: string, lwm2mVersion: Lwm2mVersion): Promise<UpdateAgent> {
    const memory = createMemoryDevice();
    const port = this.server.addressOf(this.#transport)?.port;
    const agent = createUpdateAgent({
      endpoint,
      server: `${SCHEMES[this.#transport]}://127.0.0.1:${port}`,
      ...(isSecure(this.#transport) && { credentials: { psk: this.#credentials.give(endpoint) } }),
      handlers: memory.handlers,
      store: memory.store,
      identity: IDENTITY,
      lwm2mVersion,
      reportBySend: lwm2mVersion !== "1.0",
      upgradeDelayMs: 5,
      reboot: () => {
        this.#restarted.add(endpoint);
        this.#watch.look();
      },
    });
    this.#agents.push(agent);
    const registered = this.event((event) => event.kind === "device.registered" && event.endpoint === endpoint);
    await agent.start();
    await registered;
    return agent;
  }

  /** Resolves when the device has been told to restart, now or before. */
  async restarted(endpoint: string): Promise<void> {
    await this.#watch.until(`the restart of ${endpoint}`, () => this.#restarted.has(endpoint) || undefined);
  }

  /** Resolves with the first event, of those heard or to come, that `isIt`. */
  event(isIt: (event: Event) => boolean): Promise<Event> {
    return this.#watch.until(`an event with ${isIt}`, () => this.events.find(isIt));
  }

  /** The next event of a value that `by` brought, from now on. */
  value(endpoint: string, by: LastValue["by"]): Promise<Event> {
    const from = this.events.length;
    return this.event(
      (event) =>
        event.kind === "device.value" &&
        event.endpoint === endpoint &&
        event.facts["by"] === by &&
        this.events.indexOf(event) >= from,
    );
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) await agent.close();
    await this.server.close();
    await this.#scratch.close();
  }
}
