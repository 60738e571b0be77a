/** How devices are asked: at once while they can be reached, later from the queue, and again and again by observing. */
import type { Models } from "@airlift/protocol/lwm2m/model";
import type { Logger } from "pino";
import type { FloodGateOptions } from "../fleet/flood-gate.ts";
import type { PresenceOptions } from "../fleet/presence.ts";
import type { Registration } from "../fleet/registration.ts";
import type { Stores } from "../store/ports.ts";
import { Arrivals } from "./arrivals.ts";
import { DoorRequests } from "./device-requests.ts";
import type { DevicePeer } from "./door.ts";
import { DeviceOperations } from "./operations.ts";
import { PresenceWatch } from "./presence-watch.ts";
import { PresentRequests } from "./present-requests.ts";
import { RequestDrain } from "./request-drain.ts";

export interface DeviceAccessOptions {
  readonly stores: Pick<Stores, "devices" | "events" | "nodes" | "observations" | "remarks" | "requests">;
  readonly models: Models;
  readonly log: Logger;
  readonly presence: PresenceOptions | undefined;
  readonly flood: FloodGateOptions | undefined;
  /** The way to a device now. */
  find(device: Registration): DevicePeer | undefined;
  registrationOf(endpoint: string): Registration | undefined;
  /** As `PresentRequestsParts.onServed`. */
  onServed(device: Registration): void;
}

export class DeviceAccess {
  readonly presence: PresenceWatch;
  /** Whatever is asked of a device: refused while it sleeps, and a sign of life when it answers. */
  readonly requests: PresentRequests;
  readonly operations: DeviceOperations;
  /** Requests that wait until their device is awake. */
  readonly queue: RequestDrain;
  /** Devices that have come here, with what waits for them elsewhere. */
  readonly arrivals: Arrivals;

  constructor(options: DeviceAccessOptions) {
    const { stores, models, log, presence, flood, find, registrationOf, onServed } = options;
    this.presence = new PresenceWatch({ ...presence, isConnected: (device) => find(device) !== undefined });
    this.requests = new PresentRequests({ within: new DoorRequests({ find }), presence: this.presence, onServed });
    const { requests } = this;
    const { events, remarks, observations: store, devices } = stores;
    const kept = { events, remarks, store, devices };
    this.operations = new DeviceOperations({ ...kept, requests, models, log, flood, registrationOf });
    this.queue = new RequestDrain({
      store: stores.requests,
      requests,
      log,
      registrationOf,
      isReachable: (endpoint) => this.presence.isReachable(endpoint),
      holdsLease: () => stores.nodes.holdsLease,
      onAnswer: (request, response) => this.operations.keepQueued(request, response),
    });
    this.arrivals = new Arrivals({
      bringAlong: async (endpoints) => {
        await this.queue.onArrived(endpoints);
        await this.operations.observations.onArrived(endpoints);
      },
      log,
    });
  }

  async close(): Promise<void> {
    this.presence.stop();
    await this.arrivals.close();
    await this.queue.close();
    this.operations.close();
  }
}
