/** The LwM2M server at all its doors: who registers, what they fetch, and the updates that are driven. */

import type { Reachability } from "@airlift/protocol/api/schemas";
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { BugError } from "@airlift/protocol/lib/errors";
import type { Models } from "@airlift/protocol/lwm2m/model";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { type Driven, drive } from "@airlift/runtime/drive";
import type { SocketAddress } from "@airlift/runtime/udp";
import type { Logger } from "pino";
import type { PlainDevices } from "../config/doors.ts";
import type { UpdatePolicy } from "../delivery/policy.ts";
import { updateObjectOf } from "../delivery/update-object.ts";
import type { BootstrapCredentials } from "../fleet/bootstrap.ts";
import type { FloodGateOptions } from "../fleet/flood-gate.ts";
import type { PresenceOptions } from "../fleet/presence.ts";
import { isStillAt, type Registration } from "../fleet/registration.ts";
import { Registry, type RegistryInput, type RegistryOutput } from "../fleet/registry.ts";
import { isSecure, type Transport } from "../fleet/sender.ts";
import type { KeptRegistration, Stores } from "../store/ports.ts";
import type { BootstrapDoor } from "./bootstrap-door.ts";
import type { BroadcastDelivery } from "./broadcast-delivery.ts";
import { CampaignRunner } from "./campaign-runner.ts";
import { CredentialWatch } from "./credential-watch.ts";
import { DeliveryEngine } from "./delivery-engine.ts";
import { DeviceAccess } from "./device-access.ts";
import type { DeviceFaults } from "./device-faults.ts";
import { DeviceLink } from "./device-link.ts";
import type { DeviceRequests } from "./device-requests.ts";
import type { DoorLoad } from "./door.ts";
import { Doors, type DoorsOptions } from "./doors.ts";
import type { KnownOfDevice } from "./errands.ts";
import { FaultReport } from "./fault-report.ts";
import { FleetRecord } from "./fleet-record.ts";
import { FrontDesk } from "./front-desk.ts";
import { readFurther } from "./further-readings.ts";
import { Gatekeeper } from "./gatekeeper.ts";
import { ImageDoor } from "./image-door.ts";
import type { DeviceOperations } from "./operations.ts";
import { PackageUris } from "./package-uri.ts";
import type { PresenceWatch } from "./presence-watch.ts";
import { Reception } from "./reception.ts";
import type { Refusals } from "./refusals.ts";
import { RegistrationFollower } from "./registration-follower.ts";
import { ReportReader } from "./report-reader.ts";
import type { RequestDrain } from "./request-drain.ts";
import { bootstrapDoor } from "./server-bootstrap.ts";
import { sleepTimersOf } from "./sleep-timers.ts";
import { Takeover } from "./takeover.ts";
import { watchedPeer } from "./watched-peer.ts";

export interface Lwm2mServerOptions extends DoorsOptions {
  readonly stores: Stores;
  readonly log: Logger;
  /** Host put into Package URIs; null = the address of ours that the device would reach. */
  readonly publicHost: string | null;
  /** Port of the HTTP image door, for devices that fetch over HTTP. */
  readonly httpPort: () => number;
  /** Takes campaigns' orders for devices behind radio gateways. */
  readonly broadcast?: Pick<BroadcastDelivery, "take"> | undefined;
  /** Answers requests below `/zdm`; absent = there is nothing. */
  readonly namedContents?: ((request: CoapRequest) => Promise<CoapAnswer>) | undefined;
  /** Default http. */
  readonly httpScheme?: "http" | "https" | undefined;
  /** Default allow. */
  readonly plainDevices?: PlainDevices | undefined;
  readonly policy?: UpdatePolicy | undefined;
  /** Absent: no device is bootstrapped here. */
  readonly bootstrap?: BootstrapCredentials | undefined;
  readonly presence?: PresenceOptions | undefined;
  /** The objects that operations name and type; default those this project knows by itself. */
  readonly models?: Models | undefined;
  /** How many notifications of one device are taken. */
  readonly flood?: FloodGateOptions | undefined;
  /** As `TakeoverOptions.lookMs`. */
  readonly lookMs?: number | undefined;
}

/** When a device may ask again that came while the registrations of the last run were being read. */
const STARTING_S = 5;

export class Lwm2mServer {
  readonly #options: Lwm2mServerOptions;
  readonly #registry = new Registry();
  readonly #driven: Driven<RegistryInput, RegistryOutput>;
  readonly #gatekeeper: Gatekeeper;
  readonly #reception: Reception;
  readonly #frontDesk: FrontDesk;
  readonly #reports: ReportReader;
  readonly #follower: RegistrationFollower;
  readonly #faults: FaultReport;
  readonly #record: FleetRecord;
  readonly #bootstrap: BootstrapDoor | undefined;
  readonly #takeover: Takeover;
  readonly #access: DeviceAccess;
  #doors: Doors | undefined;
  readonly #credentials: CredentialWatch;
  readonly engine: DeliveryEngine;
  readonly campaigns: CampaignRunner;

  private constructor(options: Lwm2mServerOptions) {
    const { stores, log, publicHost, httpPort, httpScheme = "http", models = STANDARD_MODELS, flood } = options;
    const registrationOf = (endpoint: string) => this.registrationOf(endpoint);
    this.#access = new DeviceAccess({
      stores,
      models,
      log,
      presence: options.presence,
      flood,
      find: (device) => {
        const peer = this.#doors?.find(device);
        return peer && watchedPeer(peer, device, (fault) => this.#faults.note(fault));
      },
      registrationOf,
      onServed: (device) => {
        if (isStillAt(device, registrationOf(device.endpoint)))
          this.#driven.feed({ kind: "settle", endpoint: device.endpoint });
      },
    });
    const { presence, requests, operations, queue, arrivals } = this.#access;
    const link = new DeviceLink(requests);
    const uris = new PackageUris(() => ({
      publicHost,
      http: { scheme: httpScheme, port: httpPort() },
      portOf: (transport) => this.addressOf(transport)?.port,
    }));
    this.#options = options;
    this.#record = new FleetRecord(stores, log);
    this.#bootstrap = options.bootstrap && bootstrapDoor(options.bootstrap, { uris, record: this.#record, log });
    this.#gatekeeper = new Gatekeeper({
      credentials: options.credentials,
      devices: stores.devices,
      plainDevices: options.plainDevices ?? "allow",
    });
    this.#faults = new FaultReport({
      record: this.#record,
      gatekeeper: this.#gatekeeper,
      log,
      registrationOf: (sender) => this.#registry.of(sender),
    });
    this.#credentials = new CredentialWatch({
      credentials: options.credentials,
      events: stores.events,
      gatekeeper: this.#gatekeeper,
      log,
      doors: () => this.#doors,
      registrationOf,
      feed: (input) => void this.#driven.feed(input),
      onHeard: (endpoint) => {
        this.presence.feed({ kind: "heard", endpoint });
        this.engine.onHeard(endpoint);
      },
    });
    // What follows from a registration's end or start is done here; answers are made where the request came in.
    this.#driven = drive(this.#registry, { kind: "wake" }, (output) => this.#follower.follow(output));
    this.#reception = new Reception({
      gatekeeper: this.#gatekeeper,
      feed: (input) => this.#driven.feed(input)[0],
      registrationOf: (sender) => this.#registry.of(sender),
      models,
      onValues: (registration, entries) => this.operations.onSent(registration, entries),
      onNews: (registration) => this.#follower.news(registration),
      onHeard: (endpoint) =>
        setImmediate(() => {
          this.presence.feed({ kind: "heard", endpoint });
          this.#driven.feed({ kind: "settle", endpoint });
        }),
      onFault: (fault) => this.#faults.note(fault),
      onForbidden: (endpoint, sender, why) => this.#faults.forbidden(endpoint, sender, why),
    });
    this.engine = new DeliveryEngine({
      stores,
      linkFor: (order, exchanges) => new DeviceLink(exchanges.over(requests), updateObjectOf(order.target)),
      log,
      policy: options.policy,
      registrationOf,
      isAsleep: (endpoint) => this.presence.of(endpoint).state === "asleep",
      packageUri: (file, scheme, registration) => uris.uriFor(file, scheme, registration),
      schemesFor: (registration) => uris.schemesFor(registration),
      onReport: (endpoint, report) => this.#onReport(endpoint, report),
      holdsLease: () => stores.nodes.holdsLease,
      onTransition: (update) => this.campaigns.onTransition(update),
    });
    this.campaigns = new CampaignRunner({ stores, delivery: this.engine, broadcast: options.broadcast, log });
    this.#takeover = new Takeover({
      stores,
      delivery: this.engine,
      log,
      lookMs: options.lookMs,
      onRegistrations: (kept) => this.#takeUp(kept),
      onClaimed: (endpoint) => arrivals.add(endpoint),
      registrations: () => this.#registry.all(),
      guests: () => this.#registry.guests(),
      registrationOf,
      isArriving: (endpoint) => this.#record.isArriving(endpoint),
      onLeft: (endpoint) => {
        this.#driven.feed({ kind: "leave", endpoint });
        this.queue.onLeft(endpoint);
      },
    });
    const onDevice = (endpoint: string) => this.campaigns.onDevice(endpoint);
    const further = { link, requests, presence, devices: stores.devices, onDevice };
    this.#reports = new ReportReader({
      link,
      log,
      onReport: (endpoint, report) => this.#onReport(endpoint, report),
      registrationOf,
      readMore: (registration) => readFurther(registration, further),
    });
    this.#follower = new RegistrationFollower({
      record: this.#record,
      presence,
      queue,
      engine: this.engine,
      operations,
      reports: this.#reports,
      campaigns: this.campaigns,
      arrivals,
      log,
      forget: (endpoint) => this.#doors?.forget(endpoint),
    });
    this.#frontDesk = new FrontDesk({
      images: new ImageDoor(stores.images, (updateId, offset) => this.engine.onFetched(updateId, offset)),
      reception: this.#reception,
      bootstrap: this.#bootstrap,
      namedContents: options.namedContents,
    });
  }

  /**
   * Opens the doors, takes up the registrations and updates of the last run, then serves.
   *
   * @throws {EnvironmentError} PORT_IN_USE and the like, as `openUdp`; DATABASE_AWAY
   * @throws {UsageError} `DTLS_CREDENTIAL`
   */
  static async open(options: Lwm2mServerOptions): Promise<Lwm2mServer> {
    const server = new Lwm2mServer(options);
    const doors = await Doors.open(options, {
      log: options.log,
      refusals: server.#faults.refusals,
      onSession: (visitor, door) => void server.#credentials.onSession(visitor, door),
      onFlood: (visitor, refusedCount) => server.#faults.flood(visitor, refusedCount),
      onLost: (endpoint) => {
        const device = server.registrationOf(endpoint);
        if (device !== undefined) server.presence.disconnected(device);
      },
    });
    server.#doors = doors;
    // A 4.04 to a device that is known, only not remembered yet, would make it register anew.
    const startingUp = createResponse(CODE.serviceUnavailable, EMPTY, [uintOption(OPTION.maxAge, STARTING_S)]);
    doors.serve(
      () => startingUp,
      () => {},
    );
    server.#credentials.start();
    try {
      await server.#restore();
    } catch (error) {
      await server.close();
      throw error;
    }
    doors.serve(
      (request, visitor, door) => server.#frontDesk.answer(request, visitor, door),
      (refusal, visitor) => server.#reception.bodyRefused(refusal, visitor),
    );
    return server;
  }

  get presence(): PresenceWatch {
    return this.#access.presence;
  }

  /** As `DeviceAccess.requests`. */
  get requests(): DeviceRequests {
    return this.#access.requests;
  }

  /** As `DeviceAccess.queue`. */
  get queue(): RequestDrain {
    return this.#access.queue;
  }

  get operations(): DeviceOperations {
    return this.#access.operations;
  }

  /** Where plain CoAP over UDP is. @throws {BugError} NO_DOOR */
  get address(): SocketAddress {
    const address = this.addressOf("udp");
    if (address === undefined) throw new BugError("NO_DOOR", "this server has no door for plain UDP");
    return address;
  }

  /** Where the first door of a transport listens; `undefined` where there is none. */
  addressOf(transport: Transport): SocketAddress | undefined {
    return this.#doors?.addressOf(transport);
  }

  /** The registration of an endpoint that is here. */
  registrationOf(endpoint: string): Registration | undefined {
    return this.#registry.get(endpoint);
  }

  isHere(endpoint: string): boolean {
    return this.#registry.get(endpoint) !== undefined;
  }

  reachabilityOf(endpoint: string): Reachability {
    return this.presence.reachabilityOf(endpoint, this.#registry.get(endpoint));
  }

  /** UTC milliseconds at which a device fell asleep; `undefined` while it does not sleep. */
  asleepSinceMs(endpoint: string): number | undefined {
    return this.presence.asleepSinceMs(endpoint);
  }

  get registrationCount(): number {
    return this.#registry.size;
  }

  /** What each door holds now. */
  doorLoads(): readonly DoorLoad[] {
    return this.#doors?.loads() ?? [];
  }

  /** What devices did that they should not, since the start. */
  get faults(): DeviceFaults {
    return this.#faults.faults;
  }

  /** What was refused since the start. */
  refusalCounts(): ReturnType<Refusals["counts"]> {
    return this.#faults.refusals.counts();
  }

  async close(): Promise<void> {
    this.#credentials.stop();
    this.#bootstrap?.close();
    this.#driven.stop();
    await this.#access.close();
    this.#reports.close();
    await this.#takeover.close();
    await this.campaigns.close();
    await this.engine.close();
    await this.#doors?.close();
    this.#faults.close();
  }

  async #restore(): Promise<void> {
    const { stores } = this.#options;
    // The socket is bound: whoever had this server's name before is gone.
    await stores.nodes.join();
    const kept = await stores.devices.loadRegistrations();
    const registrations = this.#takeUp(kept);
    // Whose window ended meanwhile sleeps from here on.
    this.presence.feed({ kind: "wake" });
    await this.queue.restore();
    await this.engine.restore(await stores.updates.unfinished());
    this.campaigns.start();
    this.#takeover.start();
    const plain = registrations.filter(({ transport }) => !isSecure(transport)).map(({ endpoint }) => endpoint);
    for (const endpoint of await this.#gatekeeper.keptFromPlain(plain)) this.#driven.feed({ kind: "bar", endpoint });
  }

  /** Of registrations that are this server's now, those that have not ended. */
  #takeUp(kept: readonly KeptRegistration[]): Registration[] {
    const registrations = kept.flatMap(({ resources: _, ...registration }) =>
      registration.presence === "registered" ? [registration] : [],
    );
    this.#driven.feed({ kind: "restore", registrations, utcMs: Date.now() });
    for (const registration of registrations) {
      this.presence.registered(registration);
      this.#access.arrivals.add(registration.endpoint);
    }
    for (const { endpoint, queueMode, resources } of kept)
      if (queueMode && resources !== undefined)
        this.presence.feed({ kind: "timers", endpoint, timers: sleepTimersOf(resources) });
    return registrations;
  }

  #onReport(endpoint: string, report: KnownOfDevice): void {
    this.#record.keepReport(endpoint, report);
    this.campaigns.onDevice(endpoint);
  }
}
